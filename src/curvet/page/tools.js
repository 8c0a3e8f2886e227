"use strict";
// Elements, numbers and scales: what the rest of the page is made of. Names of runs are whatever a
// folder may be called: they go into the page as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

/** Make an element; strings among the children become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Unpack a part of the page's data: base 64 of compressed JSON. */
async function unpack(id) {
  const text = byId(id).textContent;
  const bytes = Uint8Array.fromBase64
    ? Uint8Array.fromBase64(text)
    : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

/** Write a number in at most four digits that count. */
function short(value) {
  if (value === undefined || !Number.isFinite(value)) return "\u2013";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(3).replace(/\.?0+e/, "e");
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(size >= 1000 ? 6 : 4)));
}

/** Write a tick of a log axis. */
const power = (tick) => (tick >= 1e-3 && tick < 1e5 ? short(tick) : tick.toExponential().replace("+", ""));

function extent(lists) {
  let [least, most] = [Infinity, -Infinity];
  for (const list of lists) for (const value of list) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return least <= most ? [least, most] : [0, 1];
}

const isLog = ([least, most]) => least > 1e-100 && most > 10 * least;

function padded([least, most], log) {
  if (log && most === least) return [least / 2, most * 2];
  if (log) return [least / (most / least) ** 0.03, most * (most / least) ** 0.03];
  const room = (most - least) * 0.04 || Math.abs(most) * 0.1 || 0.5;
  return [least - room, most + room];
}

/** Map values to pixels, linearly or by their logarithm. */
function scale(domain, start, end, log) {
  const [a, b] = log ? domain.map(Math.log) : domain;
  const share = (value) => (b > a ? ((log ? Math.log(value) : value) - a) / (b - a) : 0.5);
  const map = (value) => start + (end - start) * share(value);
  map.domain = domain;
  map.log = log;
  return map;
}

/** Write a curve as the data of a path; what a log axis cannot show leaves a gap. */
function line({ steps, values }, x, y) {
  let path = "";
  let pen = "M";
  for (let place = 0; place < values.length; place++) {
    if (y.log && values[place] <= 0) { pen = "M"; continue; }
    path += `${pen}${x(steps[place]).toFixed(1)} ${y(values[place]).toFixed(1)}`;
    pen = "L";
  }
  return path;
}

/** The points of a curve between two steps, and one on either side of them. */
function inside({ role, steps, values }, from, to) {
  const near = (place) => steps[place] >= from && steps[place] <= to;
  const kept = [...steps.keys()].filter((place) => near(place) || near(place - 1) || near(place + 1));
  return { role, steps: kept.map((place) => steps[place]), values: kept.map((place) => values[place]) };
}

function ticks([from, to], log, most) {
  if (log && to / from >= 10) {
    const [first, last] = [Math.ceil(Math.log10(from)), Math.floor(Math.log10(to))];
    const every = Math.ceil((last - first + 1) / most);
    const found = [];
    for (let power = first; power <= last; power += every) found.push(10 ** power);
    if (found.length > 2 || every > 1) return found;
    const between = [];
    for (let power = first - 1; power <= last; power++) {
      between.push(...[1, 2, 5].map((digit) => digit * 10 ** power));
    }
    return between.filter((tick) => tick >= from && tick <= to);
  }
  const rough = (to - from) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((digit) => digit * power >= rough) * power;
  const found = [];
  for (let n = Math.ceil(from / step); n * step <= to + step * 1e-9; n++) {
    found.push(Number((n * step).toPrecision(12)));
  }
  return found;
}

/** Divide the time from the first to the last run into hours, days, weeks, months or years. */
function timeBins(times) {
  let [first, last] = [Infinity, -Infinity];
  for (const time of times) {
    if (time === null) continue;
    first = Math.min(first, time);
    last = Math.max(last, time);
  }
  const days = (last - first) / 86400;
  const unit = days < 2 ? "hour" : days < 45 ? "day" : days < 400 ? "week" : days < 1800 ? "month" : "year";
  const start = (seconds) => {
    const time = new Date(seconds * 1000);
    if (unit === "hour") time.setUTCMinutes(0, 0, 0);
    else time.setUTCHours(0, 0, 0, 0);
    if (unit === "week") time.setUTCDate(time.getUTCDate() - (time.getUTCDay() + 6) % 7);
    if (unit === "month" || unit === "year") time.setUTCDate(1);
    if (unit === "year") time.setUTCMonth(0);
    return time;
  };
  const next = (time) => {
    const after = new Date(time);
    if (unit === "hour") after.setUTCHours(after.getUTCHours() + 1);
    if (unit === "day") after.setUTCDate(after.getUTCDate() + 1);
    if (unit === "week") after.setUTCDate(after.getUTCDate() + 7);
    if (unit === "month") after.setUTCMonth(after.getUTCMonth() + 1);
    if (unit === "year") after.setUTCFullYear(after.getUTCFullYear() + 1);
    return after;
  };
  const length = { hour: 13, day: 10, week: 10, month: 7, year: 4 }[unit];
  const starts = [];
  if (last >= first) {
    for (let t = start(first); t <= last * 1000 && starts.length < 500; t = next(t)) starts.push(t);
  }
  const labels = starts.map((t) =>
    t.toISOString().slice(0, length).replace("T", " ") + (unit === "hour" ? ":00" : ""));
  return { unit, starts: starts.map((t) => t / 1000), labels };
}
