// What the page does when it is used: zoom, smoothing, log scale, the samples' slider.

const charts = [...document.querySelectorAll(".chart")].map((figure) => new Chart(figure, data.charts[Number(figure.dataset.chart)]));

function drawAll() {
  for (const chart of charts) chart.draw();
  document.getElementById("all").disabled = view.first === whole.first && view.last === whole.last;
}

// Show what lies from `first` to `last`: not less than can be told apart, and nothing outside of the runs.
function zoom(first, last) {
  const span = Math.min(whole.last - whole.first, Math.max(shortest(), last - first));
  view.first = Math.min(Math.max(whole.first, wholePlace(first)), wholePlace(whole.last - span));
  view.last = Math.min(whole.last, wholePlace(view.first + span));
  drawAll();
  say(rangeTold(view.first, view.last));
}

function scaleBy(factor, middle) {
  const span = view.last - view.first, at = middle ?? (view.first + view.last) / 2;
  const share = span > 0 ? (at - view.first) / span : 0.5;
  zoom(at - share * span * factor, at + (1 - share) * span * factor);
}

function say(text) {
  document.getElementById("said").textContent = text;
}

// A chart's answers to pointer and keys. The curves are drawn anew when one lets go, not while one drags.
function follow(chart, svg) {
  const placeAt = (event) => chart.place(((event.clientX - svg.getBoundingClientRect().left) / svg.clientWidth) * chart.width);
  let from = null;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = placeAt(event);
    try { svg.setPointerCapture(event.pointerId); } catch { /* a pointer of a script */ }
  });
  svg.addEventListener("pointermove", (event) => {
    chart.reader = placeAt(event);
    chart.span = from === null ? null : [from, chart.reader];
    chart.drawOver();
  });
  const letGo = (event) => {
    const start = from, end = placeAt(event);
    from = chart.span = null;
    if (event.type === "pointerup" && start !== null && Math.abs(chart.x(end) - chart.x(start)) > 8)
      zoom(Math.min(start, end), Math.max(start, end));
    else chart.drawOver();
  };
  svg.addEventListener("pointerup", letGo);
  svg.addEventListener("pointercancel", letGo);
  svg.addEventListener("pointerleave", () => {
    if (from !== null) return;
    chart.reader = null;
    chart.drawOver();
  });
  svg.addEventListener("dblclick", () => zoom(whole.first, whole.last));
  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const stops = chart.stops(), at = stops.indexOf(chart.nearest()), span = view.last - view.first;
    const move = (to) => {
      chart.reader = stops[Math.min(stops.length - 1, Math.max(0, to))] ?? null;
      chart.drawOver();
      say(chart.where.textContent);
    };
    const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (sideways && event.shiftKey) zoom(view.first + (sideways * span) / 4, view.last + (sideways * span) / 4);
    else if (sideways) move(at < 0 ? stops.length - 1 : at + sideways);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(stops.length - 1);
    else if (event.key === "+" || event.key === "=") scaleBy(0.5, chart.reader);
    else if (event.key === "-") scaleBy(2, chart.reader);
    else if (event.key === "Escape" || event.key === "0") zoom(whole.first, whole.last);
    else return;
    event.preventDefault();
  });
}

function sayHowSmooth() {
  document.getElementById("smoothed").textContent = view.smooth ? `over ${lengthTold((view.smooth / 100) * (whole.last - whole.first))}` : "none";
}

function startCurves() {
  const over = document.getElementById("over");
  if (over) over.value = view.over; // browsers keep what was chosen before a page is loaded anew
  placeAll(view.over);
  const smooth = document.getElementById("smooth"), log = document.getElementById("log");
  smooth.addEventListener("input", () => {
    view.smooth = Number(smooth.value);
    sayHowSmooth();
    drawAll();
  });
  over?.addEventListener("change", () => {
    placeAll(over.value);
    for (const chart of charts) chart.reader = null;
    sayHowSmooth();
    drawAll();
    say(`Over ${over.value}. ${rangeTold(view.first, view.last)}`);
  });
  log.addEventListener("change", () => {
    view.log = log.checked;
    drawAll();
  });
  document.getElementById("nearer").addEventListener("click", () => scaleBy(0.5));
  document.getElementById("farther").addEventListener("click", () => scaleBy(2));
  document.getElementById("all").addEventListener("click", () => zoom(whole.first, whole.last));
  document.querySelector('[data-controls="curves"]').hidden = document.getElementById("hint").hidden = false;
  drawAll();
  window.addEventListener("beforeprint", () => charts.forEach((chart) => chart.draw(380))); // two beside each other
  window.addEventListener("afterprint", drawAll);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (width !== window.innerWidth) drawAll();
    width = window.innerWidth;
  });
}

// Each run shows its last grid at or before the chosen step; its first one where it has none so early.
function startSamples() {
  const slider = document.getElementById("slider"), play = document.getElementById("play");
  const steps = [...new Set(data.frames.flat().map(([step]) => step))].sort((a, b) => a - b);
  let timer = null;
  const show = () => {
    const at = steps[Number(slider.value)];
    document.getElementById("step").textContent = at.toLocaleString("en");
    slider.setAttribute("aria-valuetext", `step ${at.toLocaleString("en")}`);
    document.querySelectorAll("[data-run]").forEach((figure) => {
      const frames = data.frames[Number(figure.dataset.run)], image = figure.querySelector("img");
      if (!image) return;
      const [step, source, width, height] = frames.filter(([each]) => each <= at).pop() || frames[0];
      const told = step.toLocaleString("en");
      image.src = source;
      [image.width, image.height] = [width, height];
      image.alt = image.alt.replace(/ at step [\d,]+$/, ` at step ${told}`);
      figure.querySelector("figcaption").textContent = `step ${told}`;
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
