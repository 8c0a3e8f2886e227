// One run after another, and one key for what is wrong with it.

const AHEAD = 4; // runs that are fetched before they are needed
const EVERY = 3000; // milliseconds from one look at what others do to the next
const REORDER = 15000; // at least so long until the order follows what others have labelled
const PATIENCE = 60000; // milliseconds to wait for an answer
const WHY = { uncertain: "why_uncertain", novel: "why_novel", disagreement: "why_disagreement",
  cluster: "why_cluster" };
const SURE = [["1", "sure", 0.95], ["2", "fairly", 0.75], ["3", "guess", 0.5]];
const UNSURE = "unknown";

async function main() {
  let words = {};
  const say = (key, values = {}) =>
    (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);

  /** Ask the server; with fields, tell it. What it refuses is an error with its words. */
  async function ask(path, fields) {
    const told = fields && { method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify(fields) };
    let response;
    let text;
    try {
      response = await fetch(path, { ...told, signal: AbortSignal.timeout(PATIENCE) });
      text = await response.text();
    } catch {
      throw new Error(say("no_answer"));
    }
    let content;
    try {
      content = JSON.parse(text);
    } catch {
      throw new Error(text.trim() || String(response.status)); // refused before it was understood
    }
    if (!response.ok) throw new Error(content.error);
    return content;
  }

  const start = await ask("/start");
  words = start.words;
  const whole = new Intl.NumberFormat(start.language);
  const percent = (chance) =>
    chance === undefined || chance === null ? "" : chance > 0.995 ? ">99 %" : chance < 0.005 ? "<1 %" : `${Math.round(100 * chance)} %`;
  const mine = (path) => `${path}?annotator=${encodeURIComponent(name)}`;

  let name = start.annotator;
  let news = { causes: [], mine: 0, anyone: 0, total: 0, others: 0 };
  let queue = []; // places of the runs to come
  const why = new Map();
  const skipped = new Set(); // in the order in which they come again
  const fetched = new Map(); // place -> promise of a run
  const drafts = new Map(); // place -> what was entered of a run that was left without saving
  let run = null; // what is shown
  let chosen = []; // its causes so far, the main one first
  let before = null; // what the annotator has said of it before
  let sure = null;
  let plot = null;
  let busy = true; // keys wait: a run is being saved or fetched
  let asked = 0; // the last run that was asked for
  let ordered = 0; // when the queue was made
  let pending = null; // what could not be done: a look at what others do must not hide that

  // --- messages ---------------------------------------------------------------------------------

  const tell = (text) => { byId("status").textContent = text; };

  /** Say what went wrong; `alone`: it is tried again as soon as the server answers. */
  function complain(text, again, alone = false) {
    pending = again ? { again, alone } : null;
    byId("trouble").replaceChildren(...(text ? [text] : []),
      ...(text && again ? [make("button", { type: "button", onclick: again }, say("try_again"))] : []));
  }

  // --- the runs to come -------------------------------------------------------------------------

  function fetchRun(place) {
    if (!fetched.has(place)) {
      const promise = ask(mine(`/run/${place}`));
      promise.catch(() => fetched.delete(place));
      fetched.set(place, promise);
    }
    return fetched.get(place);
  }

  async function order() {
    const found = await ask(mine("/queue"));
    why.clear();
    found.places.forEach((place, n) => why.set(place, found.why[n]));
    const left = new Set(found.places);
    for (const place of skipped) if (!left.has(place)) skipped.delete(place);
    queue = [...found.places.filter((place) => !skipped.has(place)), ...skipped]
      .filter((place) => place !== run?.place);
    ordered = performance.now();
  }

  function prefetch() {
    const soon = queue.slice(0, AHEAD);
    for (const place of fetched.keys()) {
      if (place !== run?.place && !soon.includes(place)) fetched.delete(place);
    }
    soon.forEach(fetchRun);
  }

  async function next() {
    if (!queue.length) {
      run = null;
      try { await order(); } catch (error) { return complain(error.message, next, true); }
    }
    return queue.length ? show(queue.shift()) : finish();
  }

  function finish() {
    run = null;
    busy = false;
    document.querySelector("main").hidden = true;
    byId("finished").hidden = false;
    byId("finished").querySelector("h2").focus();
  }

  async function show(place, said = null) {
    const ask = ++asked;
    busy = true;
    let found;
    try {
      found = await fetchRun(place);
    } catch (error) {
      if (ask === asked) complain(error.message, () => show(place, said), true);
      return;
    }
    if (ask !== asked) return;
    run = found;
    const draft = drafts.get(place);
    before = said ?? run.mine ?? draft?.before ?? null;
    ({ chosen, sure } = draft ?? { chosen: [], sure: before?.confidence ?? null });
    byId("note").value = draft?.note ?? before?.note ?? "";
    drafts.delete(place);
    complain("");
    document.querySelector("main").hidden = false;
    byId("finished").hidden = true;
    fill();
    paint();
    busy = false;
    byId("run-title").focus({ preventScroll: true });
    scrollTo(0, 0);
    prefetch();
  }

  /** Leave a run without saving: what was entered comes back with it. */
  function leave() {
    if (run) drafts.set(run.place, { chosen, before, sure, note: byId("note").value });
  }

  /** Show a run out of turn; the one that is left comes right after it. */
  function turnTo(place, said) {
    if (run && run.place !== place) {
      leave();
      queue.unshift(run.place);
    }
    queue = queue.filter((other) => other !== place);
    fetched.delete(place);
    return show(place, said);
  }

  // --- what is shown of a run -------------------------------------------------------------------

  const titleOf = (key) => news.causes.find((cause) => cause.key === key)?.title ?? key;
  const titles = (keys) => keys.map(titleOf).join(" + ");

  function fill() {
    const curves = Object.entries(run.curves).map(unthin);
    byId("run-title").textContent = run.run || say("no_name");
    const verdict = run.verdict
      ? [make("strong", {}, run.verdict), run.probability === null ? "" : `, ${percent(run.probability)}`]
      : [make("strong", {}, say("too_early"))];
    const reason = WHY[why.get(run.place)];
    const host = make("div", { id: "curves" });
    const limits = run.limits.length
      ? [make("h3", {}, say("limits")), make("ul", { class: "limits" }, ...run.limits.map((text) => make("li", {}, text)))]
      : [];
    const details = [["source", run.source], ["format", run.format],
      ["points", run.points ? whole.format(run.points) : ""],
      ["novelty", run.novelty === null ? "" : percent(run.novelty)]].filter(([, value]) => value);
    byId("run-body").replaceChildren(
      make("p", { class: "said" }, `${say("verdict")}: `, ...verdict,
        run.likely.length > 1 ? ` \u00b7 ${say("likely", { causes: run.likely.join(", ") })}` : ""),
      make("p", { class: "hint why" }, reason ? say(reason) : ""),
      ...[run.remark, run.note].filter(Boolean).map((text) => make("p", { class: "note" }, text)),
      ...(curves.length ? [host] : [make("p", { class: "note" }, say("no_curves"))]));
    byId("details").replaceChildren(make("div", { class: "halves" },
      make("div", {}, make("h3", {}, say("evidence")), factList(curves.length > 0)),
      make("div", {}, ...limits, make("h3", {}, say("log")),
        make("dl", {}, ...details.flatMap(([key, value]) =>
          [make("dt", {}, say(key)), make("dd", {}, value)])))));
    // It measures its width, so it has to be in the page.
    plot = curves.length ? plotter(host, { curves, facts: run.facts }, say, whole) : null;
  }

  function factList(drawn) {
    if (!run.facts.length) return make("p", {}, run.text || say("no_facts"));
    return make("ol", { class: "facts" }, ...run.facts.map(([text, steps, speaks], n) => make("li", {},
      steps.length && drawn
        ? make("button", { type: "button", "aria-label": say("show_fact", { number: n + 1 }),
            onclick: () => plot.look(steps) }, String(n + 1))
        : make("span", { class: "dot", "aria-hidden": "true" }, String(n + 1)),
      make("span", {}, text, speaks ? ` (${say(`speaks_${speaks}`)})` : ""))));
  }

  // --- the causes -------------------------------------------------------------------------------

  function list() {
    byId("causes").replaceChildren(...news.causes.map(({ key, title, sign, stroke }) => {
      const shortcut = stroke ? { "aria-keyshortcuts": stroke.toUpperCase() } : {};
      return make("li", { class: "cause", "data-key": key, title: sign },
        make("button", { type: "button", class: "choose", "aria-labelledby": `called-${key}`,
          "aria-describedby": `sign-${key}`, ...shortcut, onclick: () => pick(key) },
          stroke ? make("kbd", {}, stroke) : make("span"), make("span", { class: "called", id: `called-${key}` }, title),
          make("span", { class: "number" })),
        make("button", { type: "button", class: "second", "aria-pressed": "false",
          "aria-label": say("choose_also", { cause: title }), title: say("choose_also", { cause: title }),
          onclick: () => toggle(key) }, "+"),
        make("div", { class: "meter", "aria-hidden": "true" }, make("span")),
        make("span", { class: "sign", id: `sign-${key}` }, sign));
    }));
  }

  /** Show what is chosen, how probable each cause is, and how far the work is. */
  function paint() {
    const chances = new Map((run?.chances ?? []).map(([key, , chance]) => [key, chance]));
    for (const { key, title, count } of news.causes) {
      const item = byId("causes").querySelector(`[data-key="${key}"]`);
      const chance = chances.get(key);
      item.classList.toggle("chosen-one", chosen.includes(key));
      item.querySelector(".second").setAttribute("aria-pressed", String(chosen.includes(key)));
      item.querySelector(".meter").classList.toggle("nothing", !(chance >= 0.005));
      item.querySelector(".meter > span").style.width = `${100 * (chance ?? 0)}%`;
      const number = item.querySelector(".number");
      number.textContent = [chance >= 0.005 ? percent(chance) : "", count ? `\u2713${whole.format(count)}` : ""]
        .filter(Boolean).join(" ");
      number.title = count ? say("labelled_so", { count: whole.format(count), cause: title }) : "";
    }
    for (const [key, , value] of SURE) {
      byId("sure").querySelector(`[data-key="${key}"]`).setAttribute("aria-pressed", String(sure === value));
    }
    byId("progress-text").textContent = say("progress", { mine: whole.format(news.mine),
      anyone: whole.format(news.anyone), total: whole.format(news.total) });
    byId("done-mine").style.width = `${100 * news.mine / (news.total || 1)}%`;
    byId("done-anyone").style.width = `${100 * (news.anyone - news.mine) / (news.total || 1)}%`;
    byId("open-name").textContent = name;
    byId("save").classList.toggle("save-now", Boolean(chosen.length || before));
    const others = (run?.others ?? []).map((label) => `${label.annotator}: ${titles(label.causes)}`);
    byId("said-before").replaceChildren(...(before && run
      ? [make("p", {}, say("said_before", { causes: titles(before.causes), at: before.at }),
          others.length ? ` ${say("others_say", { labels: others.join("; ") })}` : "")]
      : []));
  }

  function take(latest) {
    const told = ({ causes }) => JSON.stringify(causes.map(({ key, title, sign, stroke }) => [key, title, sign, stroke]));
    const anew = told(latest) !== told(news);
    const others = latest.others !== news.others;
    news = latest;
    if (anew) list();
    paint();
    return others;
  }

  // --- what the annotator does --------------------------------------------------------------------

  /** Choose a cause and save it, beside those that were chosen before. */
  const pick = (key) =>
    save(key === UNSURE ? [UNSURE] : chosen.includes(key) ? chosen : [...chosen.filter((one) => one !== UNSURE), key]);

  /** Choose a cause, or not, without saving. */
  function toggle(key) {
    if (busy || !run) return;
    chosen = chosen.includes(key) ? chosen.filter((one) => one !== key)
      : key === UNSURE ? [UNSURE] : [...chosen.filter((one) => one !== UNSURE), key];
    paint();
    tell(chosen.length ? say("chosen", { causes: titles(chosen) }) : say("none_chosen"));
  }

  const confirm = () => save(chosen.length ? chosen : before?.causes ?? []);

  async function save(causes) {
    if (busy || !run) return;
    if (!causes.length) return tell(say("choose_first"));
    busy = true;
    document.querySelector("main").setAttribute("aria-busy", "true");
    try {
      const { place } = run;
      const reply = await ask("/label",
        { run: place, annotator: name, causes, confidence: sure, note: byId("note").value });
      skipped.delete(place);
      fetched.delete(place);
      take(reply.news);
      const others = reply.others.map((label) => `${label.annotator}: ${titles(label.causes)}`);
      tell([say("saved", { run: run.run || say("no_name"), causes: titles(causes) }),
        others.length ? say("others_say", { labels: others.join("; ") }) : ""].filter(Boolean).join(" "));
    } catch (error) {
      chosen = causes; // Enter tries again
      busy = false;
      document.querySelector("main").removeAttribute("aria-busy");
      paint();
      return complain(say("not_saved", { reason: error.message }), confirm);
    }
    complain("");
    await next();
    document.querySelector("main").removeAttribute("aria-busy"); // not before keys work again
  }

  async function undo() {
    if (busy && run) return;
    const wasBusy = busy;
    busy = true;
    let reply;
    try {
      reply = await ask("/undo", { annotator: name });
    } catch (error) {
      busy = wasBusy;
      return tell(error.message);
    }
    take(reply.news);
    await turnTo(reply.place, reply.before);
    tell(say("undone", { causes: titles(reply.before.causes) }));
  }

  function skip() {
    if (busy || !run) return;
    leave();
    if (!run.mine) {
      skipped.delete(run.place); // to be the last of them
      skipped.add(run.place);
      queue.push(run.place);
    }
    tell(say("skipped"));
    next();
  }

  function confide(value) {
    sure = sure === value ? null : value;
    paint();
  }

  // --- dialogs ------------------------------------------------------------------------------------

  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog && dialog.id !== "name") dialog.close();
    });
    dialog.addEventListener("close", () => run && byId("run-title").focus({ preventScroll: true }));
  }

  /** Send a form; what is refused stays, with the reason. */
  function submits(id, send) {
    const form = byId(id).querySelector("form");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      form.querySelector(".refused").textContent = "";
      try {
        await send();
        byId(id).close();
      } catch (error) {
        form.querySelector(".refused").textContent = error.message;
      }
    });
  }

  let known = !start.ask;
  const naming = Promise.withResolvers?.() ?? (() => {
    const made = {};
    made.promise = new Promise((resolve) => { made.resolve = resolve; });
    return made;
  })();

  function askName() {
    byId("name-field").value = name;
    byId("name").showModal();
    byId("name-field").select();
  }
  submits("name", async () => {
    const { annotator } = await ask("/annotator", { annotator: byId("name-field").value });
    const changed = known && annotator !== name;
    name = annotator;
    known = true;
    naming.resolve();
    if (changed) location.reload();
  });
  byId("name").addEventListener("close", () => { if (!known) askName(); });

  let ownKey = false; // whether the key was typed, not made of the name
  const keyOf = (title) => title.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "").slice(0, 40);
  byId("cause-name").addEventListener("input", () => {
    if (!ownKey) byId("cause-key").value = keyOf(byId("cause-name").value);
  });
  byId("cause-key").addEventListener("input", () => { ownKey = byId("cause-key").value !== ""; });
  function askCause() {
    ownKey = false;
    byId("cause").querySelector("form").reset();
    byId("cause").showModal();
    byId("cause-name").focus();
  }
  submits("cause", async () => {
    const text = (id) => byId(id).value.trim();
    const reply = await ask("/cause", { annotator: name, key: text("cause-key"), title: text("cause-name"),
      sign: text("cause-sign"),
      remedies: text("cause-remedies").split("\n").map((line) => line.trim()).filter(Boolean) });
    take(reply.news);
    tell(say("cause_added", { cause: text("cause-name") }));
  });

  async function showList() {
    let labels;
    try { labels = await ask(mine("/mine")); } catch (error) { return complain(error.message, showList); }
    byId("labels").replaceChildren(...(labels.length ? labels.map((label) => make("li", {},
      make("button", { type: "button", onclick: () => { byId("list").close(); turnTo(label.place, null); } },
        make("span", { class: "name" }, label.run || say("no_name")),
        make("strong", {}, titles(label.causes)), make("span", { class: "hint" }, label.at),
        ...(label.note ? [make("span", { class: "text" }, label.note)] : []))))
      : [make("li", {}, say("no_labels"))]));
    byId("list").showModal();
  }

  // --- keys -----------------------------------------------------------------------------------------

  /** The letter or digit on a key, whatever the alphabet and with Shift or without. */
  function letter(event) {
    if (/^[a-z0-9]$/i.test(event.key)) return event.key.toLowerCase();
    return /^(?:Key|Digit)(.)$/.exec(event.code)?.[1].toLowerCase() ?? "";
  }

  const KEYS = { u: undo, s: skip, l: showList, c: askCause, n: () => byId("note").focus() };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.target.id === "note") {
      if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
        event.preventDefault();
        byId("run-title").focus({ preventScroll: true });
      }
      return;
    }
    const control = event.ctrlKey || event.metaKey;
    const key = letter(event);
    let action = null;
    if (control && key === "z" && !event.shiftKey) action = undo;
    else if (control || event.altKey) return;
    else if (event.key === "?") action = () => byId("help").showModal();
    else if (event.key === "ArrowRight") action = skip;
    else if (event.key === "Enter" && !event.target.closest("button, a")) action = confirm;
    else if (KEYS[key] && !event.shiftKey) action = KEYS[key];
    else if (!event.shiftKey && SURE.some(([digit]) => digit === key)) {
      action = () => confide(SURE.find(([digit]) => digit === key)[2]);
    } else {
      const cause = key && news.causes.find(({ stroke }) => stroke === key);
      if (cause) action = () => (event.shiftKey ? toggle : pick)(cause.key);
    }
    if (!action) return;
    event.preventDefault();
    if (!event.repeat) action();
  });

  for (const [id, action] of [["undo", undo], ["skip", skip], ["save", confirm], ["open-list", showList],
    ["new-cause", askCause], ["open-name", askName], ["open-help", () => byId("help").showModal()]]) {
    byId(id).addEventListener("click", action);
  }
  byId("sure").replaceChildren(make("span", { class: "hint" }, say("confidence")),
    ...SURE.map(([key, word, value]) => make("button", { type: "button", "data-key": key, "aria-pressed": "false",
      "aria-keyshortcuts": key, onclick: () => confide(value) }, say(word), make("kbd", {}, key))));

  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) plot?.redraw();
    width = innerWidth;
  });

  // --- start, and what others do meanwhile ----------------------------------------------------------

  if (!known) {
    askName();
    await naming.promise;
  }
  take(await ask(mine("/news")));
  byId("top").hidden = false;
  await order();
  await next();
  document.documentElement.dataset.ready = "yes";

  let silent = false;
  let stale = false;
  async function look() {
    if (!document.hidden) {
      try {
        const own = news;
        const latest = await ask(mine("/news"));
        if (own === news) stale = take(latest) || stale; // else one's own label has brought newer ones
        if (pending?.alone) pending.again();
        else if (silent && !pending) complain("");
        silent = false;
        if (stale && !busy && performance.now() - ordered > REORDER) {
          stale = false;
          await order();
          prefetch();
        }
      } catch (error) {
        silent = true;
        if (!pending) complain(error.message);
      }
    }
    setTimeout(look, EVERY);
  }
  setTimeout(look, EVERY);
}

main().catch((error) => {
  byId("trouble").textContent = String(error.message ?? error);
  throw error;
});
