"use strict";
// Draws the curves with uPlot, and shows samples by the slider. Text of a run is inserted as text, never as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const DASHES = [[], [7, 3], [2, 3], [8, 3, 2, 3]], MARKERS = ["solid", "dashed", "dotted", "dashed"];
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const TIME_STEPS = UNITS.flatMap(([size]) => [1, 2, 5, 10, 20, 30].map((each) => each * size)).sort((a, b) => a - b);
const WHOLE_STEPS = [...Array(16).keys()].flatMap((power) => [1, 2, 5].map((each) => each * 10 ** power));
const view = { over: data.over, log: false, smooth: 0, first: 0, last: 1 }; // shared by all charts
const whole = { first: 0, last: 1 };
const charts = [...document.querySelectorAll(".plot")].map((frame) => ({ frame, plot: null, ...data.charts[frame.dataset.chart] }));
const byId = (id) => document.getElementById(id);

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size && (size < 1e-4 || size >= 1e7)) return value.toExponential(3).replace(/\.?0*e\+?/, "e");
  return size >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));
}

function unitOf(span) {
  return UNITS.find(([size]) => span >= 2 * size) ?? UNITS[UNITS.length - 1];
}

// A length on the x axis: "300", "12 min". `span`: the length that its unit is chosen for.
function length(value, span) {
  if (view.over !== "time") return Math.round(value).toLocaleString("en");
  const [size, unit] = unitOf(span);
  return `${number(value / size)} ${unit}`;
}

function lengthOver(value) {
  return view.over === "time" ? length(value, value) : `${length(value)} ${view.over}`;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

// A moving average with this half-life on the x axis. It restarts after a gap.
function smoothed(values, places, halfLife) {
  if (!(halfLife > 0)) return values;
  let mean = null, at = 0;
  return values.map((value, i) => {
    if (value === null) return (mean = null);
    mean = mean === null ? value : mean + (1 - 2 ** ((at - places[i]) / halfLife)) * (value - mean);
    at = places[i];
    return Number(mean.toPrecision(5));
  });
}

// The columns that uPlot draws: x, then two for each series (smoothed and raw), then the levels.
function columns(chart) {
  const drawable = (value) => (view.log && value <= 0 ? null : value);
  const halfLife = (view.smooth / 100) * (whole.last - whole.first);
  const tables = chart.series.map((series) => {
    const places = series.positions[view.over], values = series.values.map(drawable);
    return [places, smoothed(values, places, halfLife), values];
  });
  for (const { level } of withLevel(chart)) tables.push([[whole.first, whole.last], [drawable(level), drawable(level)]]);
  return uPlot.join(tables);
}

function withLevel(chart) {
  return chart.series.filter((series) => series.level !== null);
}

function newest(values) {
  return values.findLast((value) => value !== null && value !== undefined);
}

function lines(chart, hidden) {
  const line = (series, more) => ({
    label: series.label, stroke: () => colour(`--c${series.colour}`), dash: DASHES[series.dash], width: 1.75,
    value: (plot, value, i, at) => number(at === null ? newest(plot.data[i]) : value), ...more,
  });
  const curves = chart.series.flatMap((series, i) => [
    line(series, { show: !hidden[i] }),
    line(series, { class: "raw", alpha: 0.3, width: 1, show: view.smooth > 0 && !hidden[i] }),
  ]);
  const levels = withLevel(chart).map((series) => line(series, { label: "real images", dash: [2, 4], points: { show: false } }));
  return [...curves, ...levels];
}

function drawMarks(plot, marks) {
  const { ctx, bbox } = plot, ratio = uPlot.pxRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("--dim");
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.setLineDash([2 * ratio, 3 * ratio]);
  for (const [name, places] of Object.entries(marks)) {
    const place = places[view.over];
    if (place === null || place <= view.first || place > view.last) continue;
    const x = Math.round(plot.valToPos(place, "x", true));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(name, x + 4 * ratio, bbox.top - 4 * ratio);
  }
  ctx.restore();
}

function options(chart, series) {
  const axis = { stroke: () => colour("--dim"), grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false } };
  const width = Math.max(240, chart.frame.clientWidth), span = () => view.last - view.first;
  return {
    width, height: Math.round(Math.min(300, Math.max(200, width * 0.5))), padding: [16, 24, 0, 0],
    scales: { x: { time: false }, y: { distr: view.log ? 3 : 1, ...(chart.unit && !view.log ? { range: [0, 1] } : {}) } },
    axes: [
      { ...axis, size: 30, space: 70, incrs: view.over === "time" ? TIME_STEPS : WHOLE_STEPS, values: (_, ticks) => ticks.map((each) => length(each, span())) },
      { ...axis, size: 58, values: (_, ticks) => ticks.map((each) => (each === null ? "" : number(each))) },
    ],
    series: [{ label: view.over, value: (_, place) => (place === null ? "newest" : length(place, place)) }, ...series],
    legend: { markers: { width: 2, fill: () => "none", dash: (_, i) => MARKERS[DASHES.indexOf(series[i - 1].dash)] ?? "dotted" } },
    cursor: {
      y: false, drag: { x: true, y: false, setScale: false, dist: 8 },
      bind: { dblclick: () => () => zoom(whole.first, whole.last) },
    },
    hooks: {
      draw: [(plot) => drawMarks(plot, chart.marks)],
      setSelect: [(plot) => {
        const { left, width: wide } = plot.select;
        if (wide > 0) zoom(plot.posToVal(left, "x"), plot.posToVal(left + wide, "x"));
        plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      }],
      setSeries: [(plot, i, { show }) => {
        if (show !== undefined && plot.series[i + 1]?.class === "raw") plot.setSeries(i + 1, { show: show && view.smooth > 0 });
      }],
    },
  };
}

function draw(chart) {
  const hidden = chart.series.map((_, i) => chart.plot !== null && !chart.plot.series[2 * i + 1].show);
  chart.plot?.destroy();
  chart.plot = new uPlot(options(chart, lines(chart, hidden)), columns(chart), chart.frame);
  chart.plot.setScale("x", { min: view.first, max: view.last });
  for (const label of chart.frame.querySelectorAll(".u-series:not(:first-child) th")) {
    label.tabIndex = 0; // a button that hides the curve, by keyboard too
    label.setAttribute("role", "button");
    label.addEventListener("keydown", (event) => event.key === "Enter" && label.click());
  }
}

function drawAll() {
  charts.forEach(draw);
  byId("all").disabled = view.first === whole.first && view.last === whole.last;
  byId("smoothed").textContent = view.smooth ? `over ${lengthOver((view.smooth / 100) * (whole.last - whole.first))}` : "none";
}

function startOver(over) {
  view.over = over;
  const places = charts.flatMap((chart) => chart.series.map((series) => series.positions[over]));
  whole.first = Math.min(...places.map((each) => each[0]));
  whole.last = Math.max(...places.map((each) => each[each.length - 1]));
  if (whole.first === whole.last) [whole.first, whole.last] = [whole.first - 1, whole.last + 1];
  else if (whole.first <= whole.last * 0.1) whole.first = 0;
  [view.first, view.last] = [whole.first, whole.last];
  document.querySelectorAll(".over").forEach((each) => (each.textContent = `over ${over}`));
  drawAll();
}

// Shows the range from `first` to `last`, clipped to the runs, and not shorter than their resolution.
function zoom(first, last) {
  const all = whole.last - whole.first, span = Math.min(all, Math.max(view.over === "time" ? all / 500 : 2, last - first));
  view.first = Math.min(Math.max(whole.first, first), whole.last - span);
  view.last = view.first + span;
  for (const { plot } of charts) plot.setScale("x", { min: view.first, max: view.last });
  byId("all").disabled = span === all;
  byId("status").textContent = `${lengthOver(view.first)} to ${lengthOver(view.last)}`;
}

function scaleBy(factor) {
  const middle = (view.first + view.last) / 2, half = ((view.last - view.first) * factor) / 2;
  zoom(middle - half, middle + half);
}

function startCurves() {
  byId("over")?.addEventListener("change", (event) => startOver(event.target.value));
  byId("smooth").addEventListener("input", (event) => { view.smooth = Number(event.target.value); drawAll(); });
  byId("log").addEventListener("change", (event) => { view.log = event.target.checked; drawAll(); });
  byId("in").addEventListener("click", () => scaleBy(0.5));
  byId("out").addEventListener("click", () => scaleBy(2));
  byId("all").addEventListener("click", () => zoom(whole.first, whole.last));
  document.querySelector('[data-controls="curves"]').hidden = false;
  startOver(data.over);
  let width = window.innerWidth;
  addEventListener("resize", () => {
    if (width !== window.innerWidth) drawAll();
    width = window.innerWidth;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  for (const kind of ["beforeprint", "afterprint"])
    addEventListener(kind, () => {
      document.documentElement.classList.toggle("print", kind === "beforeprint"); // in light colours
      drawAll();
    });
}

// Each run shows its last grid at or before the chosen step, or else its first one.
function startSamples() {
  const slider = byId("slider"), play = byId("play");
  const steps = [...new Set(data.frames.flat().map(([step]) => step))].sort((a, b) => a - b);
  let timer = null;
  const show = () => {
    const at = steps[Number(slider.value)];
    byId("step").textContent = at.toLocaleString("en");
    slider.setAttribute("aria-valuetext", `step ${at.toLocaleString("en")}`);
    document.querySelectorAll("[data-run]").forEach((figure) => {
      const frames = data.frames[Number(figure.dataset.run)], image = figure.querySelector("img");
      if (!image) return;
      const [step, source, width, height] = frames.findLast(([each]) => each <= at) ?? frames[0];
      image.src = source;
      [image.width, image.height] = [width, height];
      image.alt = image.alt.replace(/ at step [\d,]+$/, ` at step ${step.toLocaleString("en")}`);
      figure.querySelector("figcaption").textContent = `step ${step.toLocaleString("en")}`;
    });
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  slider.addEventListener("input", () => { stop(); show(); });
  play.addEventListener("click", () => {
    if (timer !== null) return stop();
    if (Number(slider.value) >= steps.length - 1) slider.value = 0;
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    show();
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) >= steps.length - 1) stop();
    }, 350);
  });
  document.querySelector('[data-controls="samples"]').hidden = steps.length < 2;
  show();
}

if (charts.length) startCurves();
if (data.frames.some((each) => each.length)) startSamples();
