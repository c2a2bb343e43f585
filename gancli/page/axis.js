// What the curves are drawn over. A place is a step, a number of pictures, or seconds; pace.py makes the same of steps.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function placeOf(step, pace, over) {
  if (over === "steps") return step;
  if (over === "images") return step * pace.batch_size;
  const { steps, seconds } = pace;
  let low = 1, high = steps.length - 1; // the first step of the clock that is not before this one
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1;
    else high = middle;
  }
  const share = Math.min(1, (step - steps[low - 1]) / (steps[low] - steps[low - 1]));
  return seconds[low - 1] + (seconds[low] - seconds[low - 1]) * share;
}

// Give every point its place, and show all.
function placeAll(over) {
  view.over = over;
  [whole.first, whole.last] = [Infinity, -Infinity];
  for (const chart of data.charts) {
    for (const series of chart.series) {
      series.at = series.steps.map((step) => placeOf(step, data.paces[series.run], over));
      whole.first = Math.min(whole.first, series.at[0]);
      whole.last = Math.max(whole.last, series.at[series.at.length - 1]);
    }
    chart.marksAt = chart.marks.flatMap(([name, step]) => {
      const places = data.paces.map((pace) => placeOf(step, pace, over));
      return places.every((each) => each === places[0]) ? [[name, places[0]]] : [];
    });
  }
  if (whole.first <= whole.last * 0.1) whole.first = 0; // as svg.py does
  [view.first, view.last] = [whole.first, whole.last];
  document.querySelectorAll(".over").forEach((each) => (each.textContent = `over ${over}`));
}

function unitOf(span) {
  return UNITS.find(([size]) => span >= 2 * size) || UNITS[UNITS.length - 1];
}

function placeTicks(first, last, most) {
  if (view.over !== "time")
    return ticks(first, last, most).filter(Number.isInteger).map((place) => [place, place.toLocaleString("en")]);
  const [size, name] = unitOf(last - first);
  return ticks(first / size, last / size, most).map((each) => [each * size, `${number(each)} ${name}`]);
}

function placeTold(place) {
  if (view.over === "steps") return `step ${place.toLocaleString("en")}`;
  return lengthTold(place);
}

function lengthTold(length) {
  if (view.over !== "time") return `${Math.round(length).toLocaleString("en")} ${view.over}`;
  const [size, name] = unitOf(length);
  return `${number(length / size)} ${name}`;
}

function rangeTold(first, last) {
  if (view.over === "steps") return `Steps ${first.toLocaleString("en")} to ${last.toLocaleString("en")}`;
  return `${lengthTold(first)} to ${lengthTold(last)}`;
}

// The point of a series that is read out at a place: the one there, or where runs do not go in step its nearest.
function pointAt(series, place) {
  if (view.over === "steps") return series.at.indexOf(place);
  let best = -1;
  series.at.forEach((each, k) => {
    if (best < 0 || Math.abs(each - place) < Math.abs(series.at[best] - place)) best = k;
  });
  const far = (view.last - view.first) / 50; // a run that had not begun, or was over
  return best >= 0 && Math.abs(series.at[best] - place) <= far ? best : -1;
}

function wholePlace(place) {
  return view.over === "time" ? place : Math.round(place);
}

function shortest() {
  return view.over === "steps" ? 2 : Math.max(view.over === "images" ? 2 : 0, (whole.last - whole.first) / 500);
}
