// The table of runs, its filters and overview, and the run that is opened.

const PAGE = 50; // rows that the table shows at once
const N_BARS = 12; // projects in the overview; the others are added up
const N_COLOURS = 6; // faulty causes with a colour of their own
const KEPT_BLOCKS = 64; // unpacked parts that are kept in memory
const FIELDS = ["q", "cause", "project", "status", "least"];
const COLUMNS = ["run", "curve", "verdict", "chance", "text", "points", "time"];

async function main() {
  const data = await unpack("rows");
  byId("rows").remove();
  const { rows, words, causes, projects, language } = data;
  const total = rows.run.length;
  const drawn = new Set(data.drawn);
  const whole = new Intl.NumberFormat(language);
  const say = (key, values = {}) =>
    words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const percent = (thousandths) =>
    thousandths === null ? "" : thousandths > 995 ? ">99 %" : thousandths < 5 ? "<1 %"
      : `${Math.round(thousandths / 10)} %`;
  const moment = (seconds) =>
    seconds === null ? "" : new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");

  // --- what a row is called, and its colour ---------------------------------------------------

  const verdict = (i) =>
    rows.status[i] === 2 ? say("unreadable")
      : rows.status[i] === 1 ? say("too_early") : causes[rows.cause[i]][1];
  const often = new Map();
  for (let i = 0; i < total; i++) {
    if (rows.status[i] === 0) often.set(rows.cause[i], (often.get(rows.cause[i]) ?? 0) + 1);
  }
  const faulty = [...often.keys()].filter((c) => causes[c][0] !== "healthy")
    .sort((a, b) => often.get(b) - often.get(a));
  const shade = new Map(faulty.slice(0, N_COLOURS).map((c, place) => [c, `c${place + 1}`]));
  const classOfCause = (c) => causes[c][0] === "healthy" ? "healthy" : shade.get(c) ?? "other";
  const classOf = (i) =>
    rows.status[i] === 2 ? "error" : rows.status[i] === 1 ? "none" : classOfCause(rows.cause[i]);
  const LAYERS = ["healthy", ...shade.values(), "other", "none", "error"];
  const layerNames = {
    healthy: causes.find((c) => c[0] === "healthy")?.[1] ?? "healthy",
    other: say("other_causes"), none: say("too_early"), error: say("unreadable"),
  };
  for (const [c, name] of shade) layerNames[name] = causes[c][1];
  const key = (name) => make("span", { class: `key ${name}`, "aria-hidden": "true" });

  // --- what an opened run needs, unpacked in parts ---------------------------------------------

  const blocks = new Map();
  async function details(i) {
    const number = Math.floor(i / data.block);
    const block = blocks.get(number) ?? unpack(`details-${number}`);
    blocks.delete(number); // the newest come last
    blocks.set(number, block);
    if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
    const [source, format, likely, chances, bundle, remark, note, facts, curves] =
      (await block)[i % data.block];
    return { source, format, likely, chances, bundle, remark, note: note ?? "",
      facts: facts ?? [], curves: Object.entries(curves ?? {}).map(unthin) };
  }

  // --- filters, kept in the address --------------------------------------------------------------

  const FRESH = { q: "", cause: "", project: "", status: "", least: "", sort: "-time", page: "1" };
  let state = { ...FRESH };
  let shown = []; // rows that the filters let through, in the order of the table
  let texts = null; // what the text filter looks at, made when it is first used
  let numbers = null; // places of the runs in the order of their names, likewise

  const address = (changes = {}) => {
    const entries = Object.entries({ ...state, ...changes })
      .filter(([name, value]) => value !== (FRESH[name] ?? ""));
    return `#${new URLSearchParams(entries)}`;
  };
  const read = () => ({ ...FRESH, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) });

  function matches() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length) texts ??= rows.run.map((run, i) => `${run} ${verdict(i)} ${rows.text[i]}`.toLowerCase());
    const cause = state.cause ? causes.findIndex((c) => c[0] === state.cause) : null;
    if (cause === -1) return []; // no such cause
    const project = state.project ? projects.indexOf(state.project) : null;
    const status = state.status ? ["verdict", "none", "error"].indexOf(state.status) : null;
    const least = Number(state.least) ? Number(state.least) * 10 : 0;
    const found = [];
    for (let i = 0; i < total; i++) {
      if (cause !== null && rows.cause[i] !== cause) continue;
      if (project !== null && rows.project[i] !== project) continue;
      if (status !== null && rows.status[i] !== status) continue;
      if (least && !(rows.chance[i] >= least)) continue;
      if (words.some((word) => !texts[i].includes(word))) continue;
      found.push(i);
    }
    return found;
  }

  /** Places by name, where run 9 comes before run 10. */
  function inOrder() {
    const compare = new Intl.Collator(language, { numeric: true }).compare;
    const order = rows.run.map((_, i) => i).sort((a, b) => compare(rows.run[a], rows.run[b]));
    const places = new Int32Array(total);
    order.forEach((i, place) => { places[i] = place; });
    return places;
  }

  /** Sort rows; those without a value come last either way. */
  function sorted(found) {
    const down = state.sort.startsWith("-");
    const name = state.sort.replace("-", "");
    if (name === "run") numbers ??= inOrder();
    const value = {
      run: (i) => numbers[i],
      verdict: (i) => (rows.status[i] === 0 ? verdict(i) : null),
      chance: (i) => rows.chance[i],
      text: (i) => rows.text[i] || null,
      points: (i) => rows.points[i] || null,
      time: (i) => rows.time[i],
    }[name];
    if (!value) return found;
    const values = found.map(value);
    const sign = down ? -1 : 1;
    const order = found.map((_, place) => place);
    order.sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return x < y ? -sign : x > y ? sign : a - b;
    });
    return order.map((place) => found[place]);
  }

  function change(changes, { keep = false } = {}) {
    state = { ...state, ...(keep ? {} : { page: "1" }), ...changes };
    history.replaceState(null, "", address());
    update();
  }

  function update() {
    for (const name of FIELDS) {
      const field = byId(name);
      const options = [...field.options ?? []].map((option) => option.value);
      if (field.options && !options.includes(state[name])) { // one that is not among the first 300
        field.append(make("option", { value: state[name] }, state[name]));
      }
      if (field.value !== state[name]) field.value = state[name];
    }
    shown = sorted(matches());
    byId("count").textContent =
      say("count", { shown: whole.format(shown.length), total: whole.format(total) });
    overview();
    heads();
    body();
  }

  // --- the overview --------------------------------------------------------------------------------

  const filling = (element, share, along = "width") => {
    element.style.setProperty(along, `${100 * share}%`);
    return element;
  };

  function overview() {
    const perCause = new Map();
    const perProject = new Map();
    for (const i of shown) {
      const what = rows.status[i] === 0 ? rows.cause[i] : -rows.status[i];
      perCause.set(what, (perCause.get(what) ?? 0) + 1);
      const layers = perProject.get(rows.project[i]) ?? { total: 0 };
      const layer = classOf(i);
      layers[layer] = (layers[layer] ?? 0) + 1;
      layers.total++;
      perProject.set(rows.project[i], layers);
    }
    const most = (counts, count) => [...counts].sort((a, b) => count(b[1]) - count(a[1]));
    bars(byId("by-cause"), most(perCause, (n) => n).map(([what, count]) => {
      const layer = what === -2 ? "error" : what === -1 ? "none" : classOfCause(what);
      const filter = what === -2 ? { status: "error" } : what === -1 ? { status: "none" }
        : { cause: causes[what][0] };
      return { name: what < 0 ? layerNames[layer] : causes[what][1], filter,
        layers: { [layer]: count, total: count } };
    }));
    bars(byId("by-project"), most(perProject, (layers) => layers.total).map(
      ([project, layers]) =>
        ({ name: projects[project], filter: { project: projects[project] }, layers })), N_BARS);
    overTime();
    const used = LAYERS.filter((name) =>
      name === "other" ? faulty.length > N_COLOURS
        : name === "none" ? rows.status.includes(1) : name === "error" ? rows.status.includes(2) : true);
    byId("legend").replaceChildren(
      ...used.map((name) => make("li", {}, key(name), layerNames[name])));
  }

  function stack(layers, along) {
    return LAYERS.filter((name) => layers[name]).map((name) =>
      filling(make("span", { class: name, title: `${layerNames[name]}: ${whole.format(layers[name])}` }),
        layers[name] / layers.total, along));
  }

  const told = (layers) => LAYERS.filter((name) => layers[name])
    .map((name) => `${layerNames[name]} ${whole.format(layers[name])}`).join(", ");

  function bars(list, entries, most = entries.length) {
    const longest = Math.max(1, ...entries.map((entry) => entry.layers.total));
    const items = entries.slice(0, most).map(({ name, filter, layers }) => {
      const on = Object.entries(filter).every(([field, value]) => state[field] === value);
      const off = Object.fromEntries(Object.keys(filter).map((field) => [field, ""]));
      const bar = make("span", { class: "bar", "aria-hidden": "true" }, ...stack(layers, "width"));
      const space = make("span", {}, filling(bar, layers.total / longest));
      const only = Object.keys(layers).length === 2;
      const label = `${name}: ${whole.format(layers.total)}${only ? "" : ` (${told(layers)})`}`;
      return make("li", {}, make("button",
        { type: "button", "aria-pressed": String(on), "aria-label": label, title: label, "data-name": name,
          onclick: () => change(on ? off : filter) },
        make("span", { class: "name" }, name), space,
        make("span", { class: "number" }, whole.format(layers.total))));
    });
    const rest = entries.slice(most);
    if (rest.length) {
      const count = rest.reduce((sum, entry) => sum + entry.layers.total, 0);
      items.push(make("li", { class: "more" },
        say("more_bars", { bars: whole.format(rest.length), runs: whole.format(count) })));
    }
    const focused = list.contains(document.activeElement) && document.activeElement.dataset.name;
    list.replaceChildren(...items);
    if (focused) [...list.querySelectorAll("button")].find((one) => one.dataset.name === focused)?.focus();
  }

  const bins = timeBins(rows.time);

  function overTime() {
    const host = byId("over-time");
    const columns = bins.starts.map(() => ({ total: 0 }));
    let unknown = 0;
    for (const i of shown) {
      const time = rows.time[i];
      if (time === null) { unknown++; continue; }
      let [low, high] = [0, bins.starts.length - 1];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (bins.starts[middle] <= time) low = middle; else high = middle - 1;
      }
      const layer = classOf(i);
      columns[low][layer] = (columns[low][layer] ?? 0) + 1;
      columns[low].total++;
    }
    const highest = Math.max(1, ...columns.map((column) => column.total));
    byId("over-time-title").textContent = say(`over_time_${bins.unit}`);
    host.setAttribute("role", "img");
    host.setAttribute("aria-label", say("over_time_label",
      { columns: whole.format(columns.length), from: bins.labels[0] ?? "", to: bins.labels.at(-1) ?? "",
        most: whole.format(highest) }));
    host.replaceChildren(...columns.map((column, place) =>
      filling(make("div", { class: "column", title: `${bins.labels[place]}: ${told(column) || 0}` },
        ...stack(column, "height")), column.total / highest, "height")));
    host.nextElementSibling?.classList.contains("axis") && host.nextElementSibling.remove();
    const ends = [bins.labels[0], bins.labels.at(-1)].filter(Boolean);
    host.after(make("p", { class: "axis" },
      ...[...new Set(ends)].map((label) => make("span", {}, label)),
      ...(unknown ? [make("span", {}, say("unknown_time", { count: whole.format(unknown) }))] : [])));
    const filled = columns.map((column, place) => [bins.labels[place], column])
      .filter(([, column]) => column.total);
    const layers = LAYERS.filter((name) => filled.some(([, column]) => column[name]));
    byId("over-time-table").replaceChildren(
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, say("time")),
        ...layers.map((name) => make("th", { scope: "col" }, layerNames[name])))),
      make("tbody", {}, ...filled.map(([label, column]) => make("tr", {},
        make("th", { scope: "row" }, label),
        ...layers.map((name) => make("td", { class: "number" }, whole.format(column[name] ?? 0)))))));
  }

  // --- the table -------------------------------------------------------------------------------------

  function heads() {
    const head = byId("table").tHead;
    const down = state.sort.startsWith("-");
    const name = state.sort.replace("-", "");
    const focused = head.contains(document.activeElement) && document.activeElement.dataset.name;
    head.replaceChildren(make("tr", { role: "row" }, ...COLUMNS.map((column) => {
      const label = say(column);
      const on = column === name;
      const cell = make("th", { class: column, role: "columnheader", scope: "col",
        "aria-sort": on ? (down ? "descending" : "ascending") : null });
      if (column === "curve") cell.append(label);
      else {
        const first = ["chance", "points", "time"].includes(column) ? "-" : "";
        const turned = on ? (down ? column : `-${column}`) : first + column;
        cell.append(make("button", { type: "button", "data-name": column,
          onclick: () => change({ sort: turned }) }, label,
          make("span", { "aria-hidden": "true" }, on ? (down ? " \u25bc" : " \u25b2") : "")));
      }
      return cell;
    })));
    if (focused) head.querySelector(`[data-name="${focused}"]`)?.focus();
  }

  function body() {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    const page = Math.min(Math.max(1, Number(state.page) || 1), pages);
    const here = shown.slice((page - 1) * PAGE, page * PAGE);
    byId("table").setAttribute("aria-rowcount", shown.length + 1);
    byId("nothing").hidden = shown.length > 0;
    byId("table").tBodies[0].replaceChildren(
      ...here.map((i, place) => row(i, (page - 1) * PAGE + place + 2)));
    const to = (number, label) => make("button",
      { type: "button", disabled: number < 1 || number > pages || number === page,
        onclick: () => { change({ page: String(number) }, { keep: true }); byId("table").scrollIntoView(); } },
      label);
    byId("pager").replaceChildren(...(pages === 1 ? [] : [
      to(1, say("first_page")), to(page - 1, say("previous_page")),
      make("span", {}, say("page", { page: whole.format(page), pages: whole.format(pages) })),
      to(page + 1, say("next_page")), to(pages, say("last_page"))]));
  }

  function row(i, place) {
    const curve = make("td", { class: "curve", role: "cell" });
    if (drawn.has(i)) spark(i, curve);
    else curve.append(make("span", { class: "hint" }, say(rows.status[i] === 2 ? "no_curve" : "not_drawn")));
    const chance = make("td", { class: "chance", role: "cell" }, percent(rows.chance[i]));
    if (rows.chance[i] !== null) {
      chance.append(make("div", { class: "meter", "aria-hidden": "true" },
        filling(make("span"), rows.chance[i] / 1000)));
    }
    return make("tr", { role: "row", "aria-rowindex": place },
      make("th", { class: "run", role: "rowheader", scope: "row" },
        make("a", { href: address({ run: rows.run[i] }), "data-place": i }, rows.run[i] || say("no_name"))),
      curve,
      make("td", { class: "verdict", role: "cell" }, key(classOf(i)), verdict(i)),
      chance,
      make("td", { class: "text", role: "cell" }, make("div", { title: rows.text[i] }, rows.text[i])),
      make("td", { class: "points", role: "cell" }, rows.points[i] ? whole.format(rows.points[i]) : ""),
      make("td", { class: "time", role: "cell" }, moment(rows.time[i])));
  }

  /** Draw the training and validation loss as small as a word. */
  async function spark(i, cell) {
    const { curves } = await details(i);
    if (!cell.isConnected) return;
    const losses = curves.filter((curve) => ["loss", "val"].includes(curve.role));
    const [width, height] = [140, 34];
    const x = scale(extent(losses.flatMap((curve) => [curve.steps, curve.bad])), 3, width - 3, false);
    const values = extent(losses.map((curve) => curve.values));
    const y = scale(values, height - 3, 3, isLog(values));
    const [first] = losses;
    const label = say("spark_label", { from: short(first?.values[0]), to: short(first?.values.at(-1)) });
    cell.replaceChildren(draw("svg", { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`,
      role: "img", "aria-label": label },
      ...losses.map((curve) => draw("path", { class: curve.role, d: line(curve, x, y) })),
      ...losses.flatMap((curve) => curve.bad.filter((_, place) => place % 3 === 0)
        .map((step) => cross(curve.role, x(step), 9)))));
  }


  // --- an opened run -------------------------------------------------------------------------------

  const dialog = byId("run");
  let opened = null; // the open run, its place, and what shows its curves
  let asked = 0; // the last run that was asked for: unpacking takes a moment

  async function open(i) {
    const ask = ++asked;
    const run = await details(i);
    if (ask !== asked) return;
    opened = { i, run, plot: null };
    fill();
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    // It measures its width, so the dialog has to be open.
    if (run.curves.length) opened.plot = plotter(byId("curves"), run, say, whole);
  }

  function close() {
    asked++;
    opened = null;
    if (dialog.open) dialog.close();
    if (state.run !== undefined) {
      delete state.run;
      history.replaceState(null, "", address());
    }
  }

  function neighbour(way) {
    const place = shown.indexOf(opened.i) + way;
    return shown.includes(opened.i) && place >= 0 && place < shown.length ? shown[place] : null;
  }

  function go(way) {
    const i = neighbour(way);
    if (i === null) return;
    state.run = rows.run[i];
    history.replaceState(null, "", address());
    open(i);
  }

  function fill() {
    const { i, run } = opened;
    const move = (way, label) => make("button", { type: "button", disabled: neighbour(way) === null,
      onclick: () => go(way) }, say(label));
    const facts = run.facts.length ? factList(run.facts)
      : rows.text[i] && rows.status[i] !== 2 ? make("p", {}, rows.text[i]) : make("p", {}, say("no_facts"));
    const notes = [run.remark, run.note, rows.status[i] === 2 ? rows.text[i] : "",
      run.curves.length || run.note || rows.status[i] === 2 ? "" : say("not_drawn_long")].filter(Boolean);
    const sure = rows.chance[i] === null ? "" : `, ${percent(rows.chance[i])}`;
    dialog.replaceChildren(
      make("div", { class: "top" },
        make("h2", { id: "run-title", tabindex: "-1" }, rows.run[i] || say("no_name")),
        move(-1, "previous_run"), move(1, "next_run"),
        make("button", { type: "button", onclick: close, "aria-keyshortcuts": "Escape" }, say("close"))),
      make("p", { class: "said" }, key(classOf(i)), make("strong", {}, verdict(i)), sure),
      ...notes.map((note) => make("p", { class: "note" }, note)),
      ...(run.curves.length ? [make("div", { id: "curves" })] : []),
      make("div", { class: "halves" },
        make("section", {}, make("h3", {}, say("evidence")), facts,
          ...(run.curves.length ? [make("h3", {}, say("figures")), figures(run.curves)] : []),
          make("h3", {}, say("log")), logFacts(i, run)),
        make("section", {}, ...(run.chances.length ? chances(run) : []))));
  }

  function logFacts(i, { source, format, bundle }) {
    const quoted = `'${source.replaceAll("'", "'\\''")}'`;
    const entries = [
      ["source", source],
      ["format", format],
      ["points", rows.points[i] ? whole.format(rows.points[i]) : ""],
      ["time", rows.time[i] === null ? "" : `${moment(rows.time[i])} UTC`],
      ["predictor", bundle],
      ["command", make("code", {}, `curvet diagnose ${quoted}`)]];
    return make("dl", {}, ...entries.filter(([, value]) => value).flatMap(([name, value]) =>
      [make("dt", {}, say(name)), make("dd", {}, value)]));
  }

  function factList(facts) {
    return make("ol", { class: "facts" }, ...facts.map(([text, steps, speaks], place) => make("li", {},
      steps.length && opened.run.curves.length
        ? make("button", { type: "button", "aria-label": say("show_fact", { number: place + 1 }),
            onclick: () => opened.plot.look(steps) }, String(place + 1))
        : make("span", { class: "dot", "aria-hidden": "true" }, String(place + 1)),
      make("span", {}, text, speaks ? ` (${say(`speaks_${speaks}`)})` : ""))));
  }

  function chances({ chances: all, likely }) {
    const set = new Set(likely);
    const items = all.slice(0, 8).map(([c, chance]) => make("li", {},
      make("span", {}, causes[c][1], set.has(c) ? " \u25cf" : ""),
      make("span", { class: "number" }, percent(chance)),
      make("div", { class: "meter", "aria-hidden": "true" }, filling(make("span"), chance / 1000))));
    return [make("h3", {}, say("chances")), make("ul", { class: "chances" }, ...items),
      make("p", { class: "hint" },
        `\u25cf ${say("likely", { causes: likely.map((c) => causes[c][1]).join(", ") })}`)];
  }

  function figures(curves) {
    const cells = (curve) => {
      const low = curve.values.reduce((best, value, place) => (value < curve.values[best] ? place : best), 0);
      return [whole.format(curve.n), short(curve.values[0]), short(curve.values[low]), short(curve.steps[low]),
        short(curve.values.at(-1))];
    };
    const heads = ["series", "points", "first", "lowest", "at_step", "last"];
    return make("table", { class: "figures" },
      make("thead", {}, make("tr", {}, ...heads.map((name, place) =>
        make("th", { scope: "col", class: place ? "number" : null }, say(name))))),
      make("tbody", {}, ...curves.map((curve) => make("tr", {}, make("th", { scope: "row" }, say(curve.role)),
        ...cells(curve).map((text) => make("td", { class: "number" }, text))))));
  }

  // --- start, and what the reader does ---------------------------------------------------------------

  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  byId("title").textContent = data.title;
  byId("made").textContent = say("made", { made: `${data.made} UTC`,
    predictor: data.predictors.join(", ") || "\u2013",
    curves: whole.format(drawn.size), runs: whole.format(total) });
  const options = (id, entries) => byId(id).replaceChildren(
    make("option", { value: "" }, say("any")),
    ...entries.map(([value, label]) => make("option", { value }, label)));
  options("cause", causes.filter((_, c) => often.has(c)).map(([name, title]) => [name, title]));
  // Thousands of projects make no list; they can be found by text.
  options("project", projects.slice(0, 300).sort().map((name) => [name, name]));
  options("status", [
    ["verdict", say("with_verdict")], ["none", say("too_early")], ["error", say("unreadable")]]);

  let typed;
  byId("filters").addEventListener("input", (event) => {
    clearTimeout(typed);
    const take = () => change(Object.fromEntries(FIELDS.map((name) => [name, byId(name).value])));
    if (["q", "least"].includes(event.target.id)) typed = setTimeout(take, 120);
    else take();
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", (event) => {
    event.preventDefault();
    change({ ...FRESH, sort: state.sort });
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      event.preventDefault();
      byId("q").focus();
    }
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (way && event.target.matches?.("#table a")) {
      event.preventDefault();
      const links = [...document.querySelectorAll("#table a")];
      links[links.indexOf(event.target) + way]?.focus();
    }
  });
  dialog.addEventListener("close", close);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });

  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) opened?.plot?.redraw();
    width = innerWidth;
  });

  function follow() {
    const { run, ...rest } = read();
    const same = shown.length && Object.keys(FRESH).every((name) => rest[name] === state[name]);
    state = run === undefined ? rest : { ...rest, run };
    if (!same) update();
    const i = run === undefined ? -1 : rows.run.indexOf(run);
    if (i >= 0) open(i);
    else close();
  }
  addEventListener("hashchange", follow);
  follow();
  document.querySelector("main").hidden = false;
  document.documentElement.dataset.ready = "yes";
  performance.mark("ready");
}

main().catch((error) => {
  const told = document.createElement("p");
  told.textContent = `${document.body.dataset.cannotShow} (${error})`;
  document.body.prepend(told);
  throw error;
});
