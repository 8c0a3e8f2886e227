// The curves of an opened run, to be looked at closely.

const MARGIN = { left: 58, right: 12, top: 16, bottom: 24 };

/** Read what `curves.encode` has written down. */
function unthin([role, { n, finite, unit, steps, values, bad }]) {
  let step = 0;
  return { role, n, finite, bad, values, steps: steps.map((way) => (step += way) * unit) };
}

/** Mark a value that is no finite number. */
const cross = (role, x, y) =>
  draw("text", { class: `bad ${role}`, x, y, "text-anchor": "middle" }, "\u00d7");

/** Show curves in an element; what is returned redraws them, or shows where a fact lies. */
function plotter(host, run, say, whole) {
  let view = { from: null, to: null, log: null }; // null: the whole run, the axis that fits

  /** Show where a fact lies, with some room on both sides. */
  function look(steps) {
    const [first, last] = wholeRun();
    const [from, to] = [Math.min(...steps), Math.max(...steps)];
    const room = Math.max((to - from) * 0.15, (last - first) * (to > from ? 0 : 0.05));
    zoom(from - room, to + room);
    host.scrollIntoView({ block: "nearest" });
  }

  const wholeRun = () => {
    const [first, last] = extent(run.curves.map((curve) => [...curve.steps, ...curve.bad]));
    return last > first ? [first, last] : [first - 0.5, last + 0.5];
  };
  const seen = () => {
    const [first, last] = wholeRun();
    return [view.from ?? first, view.to ?? last];
  };

  function zoom(from, to) {
    const [first, last] = wholeRun();
    const least = (last - first) / 10000;
    if (!(to - from >= least)) return;
    from = Math.max(first, from);
    to = Math.min(last, to);
    if (to - from < least) return;
    view = { ...view, from: from <= first ? null : from, to: to >= last ? null : to };
    redraw();
  }

  const ACTIONS = {
    "+": () => { const [a, b] = seen(); zoom(a + (b - a) / 4, b - (b - a) / 4); },
    "-": () => { const [a, b] = seen(); zoom(a - (b - a) / 2, b + (b - a) / 2); },
    ArrowLeft: () => slide(-1),
    ArrowRight: () => slide(1),
    0: () => zoom(...wholeRun()),
    l: () => { view.log = !logOf(losses()); redraw(); },
  };
  const KEYS = { "=": "+", _: "-", Home: "0", L: "l" };

  function slide(way) {
    const [first, last] = wholeRun();
    const [a, b] = seen();
    const by = way < 0 ? -Math.min((b - a) / 4, a - first) : Math.min((b - a) / 4, last - b);
    zoom(a + by, b + by);
  }

  const losses = () => run.curves.filter((curve) => ["loss", "val"].includes(curve.role));
  /** A log axis as asked for, or where the values are positive and span more than a factor of ten. */
  const logOf = (curves) => view.log ?? isLog(extent(curves.map((curve) => curve.values)));

  function redraw() {
    if (!host.firstChild) {
      const tool = (action, label) => make("button",
        { type: "button", "data-action": action, onclick: () => ACTIONS[action]() }, say(label));
      host.append(
        make("div", { class: "tools", role: "group", "aria-label": say("curves") },
          tool("+", "zoom_in"), tool("-", "zoom_out"), tool("ArrowLeft", "left"),
          tool("ArrowRight", "right"), tool("0", "all"), tool("l", "log_scale")),
        make("p", { class: "hint", id: "curve-keys" }, say("curve_keys")),
        make("div", { class: "plots", tabindex: "0", role: "group", "aria-label": say("curves"),
          "aria-describedby": "curve-keys", onkeydown: pressed, ondblclick: ACTIONS[0] }),
        make("p", { class: "readout" }));
      drag(host.querySelector(".plots"));
    }
    host.querySelector("[data-action=l]").setAttribute("aria-pressed", String(logOf(losses())));
    const others = ["grad_norm", "lr"].map((role) => run.curves.filter((c) => c.role === role));
    const panels = [losses(), ...others]
      .filter((curves) => curves.some((curve) => curve.values.length || curve.bad.length));
    host.querySelector(".plots").replaceChildren(...panels.flatMap((curves, place) => [
      make("p", { class: "panel-title" },
        ...curves.map((curve) => make("span", {}, sample(curve.role), say(curve.role)))),
      panel(curves, place === 0 ? 320 : 120, place === 0)]));
    readout(null);
  }

  const sample = (role) => draw("svg", { width: 34, height: 10, "aria-hidden": "true" },
    draw("path", { class: role, d: "M0 5H30" }));

  function pressed(event) {
    const action = ACTIONS[KEYS[event.key] ?? event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  }

  function panel(curves, height, first) {
    const width = Math.max(240, host.clientWidth);
    const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
    const [from, to] = seen();
    const x = scale([from, to], MARGIN.left, right, false);
    const visible = curves.map((curve) => inside(curve, from, to));
    const values = extent(visible.map((curve) => curve.values));
    const log = logOf(curves) && values[1] > 0;
    const positive = log ? extent(visible.map((c) => c.values.filter((value) => value > 0))) : values;
    const y = scale(padded(positive, log), bottom, MARGIN.top, log);
    const label = say("curve_label", { series: curves.map((curve) => say(curve.role)).join(", "),
      from: short(from), to: short(to), least: short(positive[0]), most: short(positive[1]) });
    const svg = draw("svg",
      { class: "panel", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    const clip = `clip-${curves[0].role}`;
    svg.append(draw("clipPath", { id: clip }, draw("rect",
      { x: MARGIN.left, y: 0, width: right - MARGIN.left, height: bottom + 1 })));
    for (const tick of ticks(y.domain, log, height < 200 ? 3 : 6)) {
      svg.append(
        draw("line", { class: "grid", x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick) }),
        draw("text", { x: MARGIN.left - 6, y: y(tick) + 4, "text-anchor": "end" },
          log ? power(tick) : short(tick)));
    }
    for (const tick of ticks([from, to], false, width < 500 ? 4 : 9)) {
      svg.append(
        draw("line", { class: "grid", x1: x(tick), x2: x(tick), y1: MARGIN.top, y2: bottom }),
        draw("text", { x: x(tick), y: height - 7, "text-anchor": "middle" }, short(tick)));
    }
    const inner = draw("g", { "clip-path": `url(#${clip})` });
    svg.append(inner);
    const badges = marks(inner, x, height, from, to);
    visible.forEach((curve) => inner.append(draw("path", { class: curve.role, d: line(curve, x, y) })));
    for (const curve of curves) {
      for (const step of curve.bad.filter((at) => at >= from && at <= to)) {
        svg.append(cross(curve.role, x(step), 12));
      }
    }
    for (const { steps, values: only } of visible.filter((curve) => curve.values.length === 1)) {
      inner.append(draw("circle", { cx: x(steps[0]), cy: y(only[0]), r: 3 })); // no line
    }
    if (first) inner.append(...badges); // above the curves, and once
    svg.append(draw("line", { class: "cross", y1: MARGIN.top, y2: bottom, visibility: "hidden" }),
      draw("rect", { class: "chosen", y: MARGIN.top, height: bottom - MARGIN.top, visibility: "hidden" }));
    svg.toStep = (pixel) => from + (to - from) * (pixel - MARGIN.left) / (right - MARGIN.left);
    return svg;
  }

  /** Mark where the facts lie, by a line at each end and a band between; return their numbers. */
  function marks(inner, x, height, from, to) {
    const [top, bottom] = [MARGIN.top, height - MARGIN.bottom];
    const badges = [];
    const taken = [];
    run.facts.forEach(([text, steps], place) => {
      const ends = [...new Set([steps[0], steps.at(-1)])].filter((step) => Number.isFinite(step));
      if (ends.length === 2) {
        const [a, b] = [Math.max(from, Math.min(...ends)), Math.min(to, Math.max(...ends))];
        const box = { class: "band", x: x(a), width: x(b) - x(a), y: top, height: bottom - top };
        if (b > a) inner.append(draw("rect", box));
      }
      for (const step of ends.filter((at) => at >= from && at <= to)) {
        const at = x(step);
        inner.append(draw("line", { class: "mark", "data-fact": place + 1, "data-step": step,
          x1: at, x2: at, y1: top, y2: bottom }));
        let level = 0;
        while (taken.some(([other, its]) => its === level && Math.abs(other - at) < 18)) level++;
        taken.push([at, level]);
        const middle = Math.min(Math.max(at, MARGIN.left + 9), x(to) - 9);
        const centre = bottom - 10 - 18 * level;
        badges.push(draw("g", {}, draw("circle", { class: "badge", cx: middle, cy: centre, r: 8 }),
          draw("text", { class: "badge-number", x: middle, y: centre + 4 }, String(place + 1)),
          draw("title", {}, text)));
      }
    });
    return badges;
  }

  function drag(plots) {
    let began = null;
    const at = (event) => {
      const svg = plots.querySelector(".panel");
      return Math.min(Math.max(event.clientX - svg.getBoundingClientRect().left, MARGIN.left),
        svg.clientWidth - MARGIN.right);
    };
    const each = (selector, use) => plots.querySelectorAll(selector).forEach(use);
    plots.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !plots.querySelector(".panel")) return;
      began = at(event);
      plots.setPointerCapture(event.pointerId);
    });
    plots.addEventListener("pointermove", (event) => {
      if (!plots.querySelector(".panel")) return;
      const now = at(event);
      each(".cross", (line) => {
        for (const [name, value] of [["x1", now], ["x2", now], ["visibility", "visible"]]) {
          line.setAttribute(name, value);
        }
      });
      if (began !== null) {
        each(".chosen", (box) => {
          box.setAttribute("x", Math.min(began, now));
          box.setAttribute("width", Math.abs(now - began));
          box.setAttribute("visibility", "visible");
        });
      }
      readout(plots.querySelector(".panel").toStep(now));
    });
    plots.addEventListener("pointerup", (event) => {
      const [one, other] = [began, at(event)];
      began = null;
      each(".chosen", (box) => box.setAttribute("visibility", "hidden"));
      if (one === null || Math.abs(other - one) < 6) return;
      const step = plots.querySelector(".panel").toStep;
      zoom(step(Math.min(one, other)), step(Math.max(one, other)));
    });
    plots.addEventListener("pointerleave", () => {
      each(".cross", (line) => line.setAttribute("visibility", "hidden"));
      readout(null);
    });
  }

  /** Tell the values nearest to a step, or how many points are drawn. */
  function readout(step) {
    const parts = run.curves.filter((curve) => curve.values.length).map((curve) => {
      if (step === null) {
        return curve.values.length < curve.finite
          ? say("thinned", { series: say(curve.role), kept: whole.format(curve.values.length),
            total: whole.format(curve.finite) }) : "";
      }
      let best = 0;
      curve.steps.forEach((at, place) => {
        if (Math.abs(at - step) < Math.abs(curve.steps[best] - step)) best = place;
      });
      return say("value_at", { series: say(curve.role),
        value: short(curve.values[best]), step: short(curve.steps[best]) });
    });
    host.querySelector(".readout").textContent = parts.filter(Boolean).join("; ");
  }

  redraw();
  return { redraw, look };
}
