"use strict";
// The charts: drawn anew from the page's data at the width they have, over what is in view: steps, or what axis.js makes of
// them. All text goes into the page
// as text, never as HTML. svg.py draws the same without a script.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 52, right: 12, top: 14, bottom: 28 };
const FEW = 20; // points that are also marked one by one, as in svg.py
const TINY = 1e-300; // what is nearer to 0 is drawn there in a log scale
const data = JSON.parse(document.getElementById("data").textContent);
const view = { first: 0, last: 1, smooth: 0, log: false, over: data.over }; // what all charts have in common
const whole = { first: Infinity, last: -Infinity };

function number(value) {
  if (value === null || !Number.isFinite(value)) return "not a number";
  const size = Math.abs(value);
  if (size && (size < 1e-4 || size >= 1e7)) return value.toExponential(3).replace("e+", "e");
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function ticks(low, high, most) {
  if (!(high > low) || !Number.isFinite(high - low)) return [low];
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const gap = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999) || 10 * power;
  const found = [];
  for (let i = Math.ceil(low / gap - 1e-9); i * gap <= high + gap * 1e-9 && found.length < 50; i++) found.push(i * gap + 0); // never -0
  return found;
}

function logTicks(low, high) {
  const found = [], decades = Math.log10(high / low);
  if (!(decades < 650)) return [low, high];
  for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high) + 1; e++)
    for (const factor of decades > 3 ? [1] : decades > 1 ? [1, 3] : [1, 2, 3, 4, 5, 6, 8]) {
      const value = factor * 10 ** e;
      if (value >= low && value <= high) found.push(value);
    }
  const skip = Math.ceil(found.length / 7);
  return found.length > 1 ? found.filter((_, i) => i % skip === 0) : [low, high];
}

// An average whose memory is so long (its half-life); it begins anew after a gap.
function smoothed(values, places, halfLife) {
  if (!(halfLife > 0)) return values;
  let mean = null, at = 0;
  return values.map((value, i) => {
    if (value === null) return (mean = null);
    mean = mean === null ? value : mean + (1 - 2 ** ((at - places[i]) / halfLife)) * (value - mean);
    at = places[i];
    return mean;
  });
}

class Chart {
  constructor(figure, about) {
    this.figure = figure;
    this.about = about;
    this.frame = figure.querySelector(".frame");
    this.where = figure.querySelector(".where");
    this.shown = about.series.map(() => true);
    this.reader = null; // the place that is read out
    this.span = null; // of a drag: two places
    figure.querySelectorAll(".legend button").forEach((button, i) =>
      button.addEventListener("click", () => {
        this.shown[i] = !this.shown[i];
        button.setAttribute("aria-pressed", this.shown[i]);
        this.draw();
      }));
  }

  halfLife() {
    return (view.smooth / 100) * (whole.last - whole.first);
  }

  // The values in view, and their range.
  measure() {
    const found = [];
    this.lines = this.about.series.map((series, i) => {
      const drawn = smoothed(series.values, series.at, this.halfLife());
      if (this.shown[i]) {
        const inside = (k) => series.at[k] >= view.first && series.at[k] <= view.last;
        for (let k = 0; k < drawn.length; k++)
          if (inside(k) && series.values[k] !== null) found.push(drawn[k], series.values[k]);
        if (series.level !== null) found.push(series.level);
      }
      return drawn;
    });
    const sound = view.log ? found.filter((value) => value > 0) : found;
    let low = Infinity, high = -Infinity;
    for (const value of sound) { low = Math.min(low, value); high = Math.max(high, value); }
    this.empty = !sound.length;
    if (this.empty) [low, high] = view.log ? [0.1, 1] : [0, 1];
    if (view.log) {
      [low, high] = [Math.max(low, TINY), Math.max(high, TINY)];
      this.low = Math.max(TINY, low === high ? low / 2 : low * (low / high) ** 0.04);
      this.high = Math.min(1 / TINY, low === high ? high * 2 : high * (high / low) ** 0.04);
    } else if (this.about.unit && low >= 0 && high <= 1) [this.low, this.high] = [0, 1];
    else {
      const room = low === high ? Math.abs(low) * 0.1 || 1 : Number.isFinite(high - low) ? (high - low) * 0.04 : 0;
      this.low = low - room;
      this.high = high + room;
    }
  }

  x(place) {
    const share = view.last > view.first ? (place - view.first) / (view.last - view.first) : 0.5;
    return MARGIN.left + share * (this.width - MARGIN.left - MARGIN.right);
  }

  // Where the text of a tick stands: the last one would hang over the edge.
  underAxis(x) {
    return x > this.width - 28 ? { x: this.width - 2, "text-anchor": "end" } : { x: x.toFixed(1), "text-anchor": "middle" };
  }

  place(x) {
    const share = (x - MARGIN.left) / (this.width - MARGIN.left - MARGIN.right);
    return view.first + Math.min(1, Math.max(0, share)) * (view.last - view.first);
  }

  y(value) {
    const [low, high, at] = view.log ? [this.low, this.high, value].map(Math.log10) : [this.low, this.high, value];
    const share = Math.min(2, Math.max(-1, (at / 2 - low / 2) / (high / 2 - low / 2)));
    return this.height - MARGIN.bottom - share * (this.height - MARGIN.top - MARGIN.bottom);
  }

  draw(width = this.frame.clientWidth) {
    this.width = Math.max(240, Math.round(width) || 360);
    this.height = Math.round(Math.min(300, Math.max(200, this.width * 0.5)));
    this.measure();
    const old = this.frame.querySelector("svg"), focused = document.activeElement === old;
    const svg = element("svg", {
      class: "plot", viewBox: `0 0 ${this.width} ${this.height}`, tabindex: 0, role: "img",
      "aria-label": old.getAttribute("aria-label"), "aria-describedby": "hint",
    });
    const right = this.width - MARGIN.right, floor = this.height - MARGIN.bottom;
    for (const value of view.log ? logTicks(this.low, this.high) : ticks(this.low, this.high, 6)) {
      const y = this.y(value).toFixed(1);
      svg.append(element("line", { class: "grid", x1: MARGIN.left, x2: right, y1: y, y2: y }));
      svg.append(element("text", { x: MARGIN.left - 6, y: Number(y) + 3.5, "text-anchor": "end" }, number(value)));
    }
    for (const [place, text] of placeTicks(view.first, view.last, Math.max(2, Math.floor(this.width / 110))))
      svg.append(element("text", { ...this.underAxis(this.x(place)), y: floor + 17 }, text));
    svg.append(element("line", { class: "axis", x1: MARGIN.left, x2: right, y1: floor, y2: floor }));
    for (const [name, place] of this.about.marksAt)
      if (place > view.first && place <= view.last) {
        const x = this.x(place).toFixed(1);
        svg.append(element("line", { class: "mark", x1: x, x2: x, y1: MARGIN.top, y2: floor }));
        svg.append(element("text", { class: "phase", x: Number(x) + 4, y: MARGIN.top - 4 }, name));
      }
    this.about.series.forEach((series, i) => this.shown[i] && this.drawSeries(svg, series, this.lines[i]));
    if (this.empty)
      svg.append(element("text", { x: this.width / 2, y: this.height / 2, "text-anchor": "middle" },
        view.log ? "nothing above 0 in view" : "nothing in view"));
    this.over = element("g", {});
    svg.append(this.over);
    old.replaceWith(svg);
    this.svg = svg;
    follow(this, svg);
    if (focused) svg.focus({ preventScroll: true });
    this.drawOver();
  }

  drawSeries(svg, series, line) {
    if (series.level !== null && (!view.log || series.level > 0)) {
      const y = this.y(series.level).toFixed(1), look = `level ${series.look.split(" ")[0]}`;
      svg.append(element("line", { class: look, x1: MARGIN.left, x2: this.width - MARGIN.right, y1: y, y2: y }));
    }
    const few = series.at.length <= FEW;
    if (line !== series.values) svg.append(element("path", { class: `curve faint ${series.look}`, d: this.path(series, series.values) }));
    svg.append(element("path", { class: `curve ${series.look}`, d: this.path(series, line) }));
    line.forEach((value, i) => {
      const alone = few || (line[i - 1] ?? null) === null && (line[i + 1] ?? null) === null;
      const place = series.at[i];
      if (alone && this.drawable(value) && place >= view.first && place <= view.last)
        svg.append(element("circle", { class: `dot ${series.look.split(" ")[0]}`, cx: this.x(place), cy: this.y(value), r: 3 }));
    });
  }

  drawable(value) {
    return value !== null && (!view.log || value > 0);
  }

  // The curve in view, with the points just outside of it, cut off at the edges.
  path(series, values) {
    let text = "", last = null;
    const edge = (a, b, place) => [place, a[1] + ((b[1] - a[1]) * (place - a[0])) / (b[0] - a[0])];
    for (let i = 0; i < values.length; i++) {
      const now = this.drawable(values[i]) ? [series.at[i], values[i]] : null;
      if (now && now[0] >= view.first && now[0] <= view.last) {
        if (!text || !last) text += "M";
        if (last && last[0] < view.first) text += `M${this.at(edge(last, now, view.first))}L`;
        else if (last) text += "L";
        text += this.at(now);
      } else if (now && last && last[0] <= view.last && now[0] > view.last) {
        const start = last[0] < view.first ? `M${this.at(edge(last, now, view.first))}` : "";
        text += `${start}L${this.at(edge(last, now, view.last))}`;
      }
      last = now;
    }
    return text.replace(/MM/g, "M");
  }

  at([place, value]) {
    return `${this.x(place).toFixed(1)} ${this.y(value).toFixed(1)}`;
  }

  // What lies over the curves: what a drag spans, and the place that is read out.
  drawOver() {
    const floor = this.height - MARGIN.bottom;
    this.over.replaceChildren();
    if (this.span) {
      const [a, b] = this.span.map((place) => this.x(place)).sort((p, q) => p - q);
      this.over.append(element("rect", { class: "span", x: a, y: MARGIN.top, width: b - a, height: floor - MARGIN.top }));
    }
    const at = this.nearest();
    this.where.textContent = at === null ? "\u00a0" : this.told(at);
    if (at === null) return;
    const x = this.x(at);
    this.over.append(element("line", { class: "reader", x1: x, x2: x, y1: MARGIN.top, y2: floor }));
    this.about.series.forEach((series, i) => {
      const k = pointAt(series, at);
      if (this.shown[i] && k >= 0 && this.drawable(this.lines[i][k]))
        this.over.append(element("circle", { class: `dot ${series.look.split(" ")[0]}`, cx: this.x(series.at[k]), cy: this.y(this.lines[i][k]), r: 4 }));
    });
  }

  // All places in view that have a point, in their order.
  stops() {
    const found = new Set();
    for (const series of this.about.series)
      for (const place of series.at) if (place >= view.first && place <= view.last) found.add(place);
    return [...found].sort((a, b) => a - b);
  }

  nearest() {
    if (this.reader === null) return null;
    let best = null;
    for (const place of this.stops())
      if (best === null || Math.abs(place - this.reader) < Math.abs(best - this.reader)) best = place;
    return best;
  }

  told(at) {
    const parts = this.about.series.flatMap((series, i) => {
      const k = pointAt(series, at);
      if (!this.shown[i] || k < 0) return [];
      const mean = this.lines[i] === series.values || this.lines[i][k] === null ? "" : ` (smoothed ${number(this.lines[i][k])})`;
      return [`${series.label} ${number(series.values[k])}${mean}`];
    });
    return `${placeTold(at)}: ${parts.join(", ")}`;
  }
}
