"""The HTML around the plot of `cloud_page`: style, controls and script.

``$NAME`` are the places of a `string.Template`.
"""

from string import Template

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$TITLE</title>
<style>
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body {
  display: flex; flex-direction: column; background: $BACKGROUND;
  color: #e8eaed; font: 14px/1.4 system-ui, "DejaVu Sans", sans-serif;
}
header, footer {
  display: flex; flex-wrap: wrap; align-items: center; gap: 8px 20px;
  padding: 10px 16px; background: #1d2127;
}
h1 { margin: 0; font-size: 17px; overflow-wrap: anywhere; }
#points, #help { color: #a8b0ba; }
#points { flex: 1 1 auto; }
#plot { flex: 1 1 0; min-height: 0; position: relative; }
#plot > div:last-child { height: 100%; }
footer { order: 1; }
button {
  padding: 6px 12px; border: 1px solid #444c56; border-radius: 6px;
  background: #2a2f37; color: inherit; font: inherit; cursor: pointer;
}
button:hover { background: #39404a; }
button:focus-visible { outline: 2px solid #8ab4f8; }
#modes button[aria-pressed=true] {
  background: #8ab4f8; border-color: #8ab4f8; color: #10151c;
}
#modes, #view, #legend { display: flex; flex-wrap: wrap; gap: 6px; }
#legend button { padding: 3px 9px; }
#legend button[aria-pressed=false] {
  opacity: .45; text-decoration: line-through;
}
#legend i {
  display: inline-block; width: 12px; height: 12px; margin-right: 7px;
  border-radius: 3px; vertical-align: -1px;
}
#help {
  position: absolute; z-index: 1; right: 16px; bottom: 10px;
  font-size: 12px; text-align: right; pointer-events: none;
}
#bar {
  position: absolute; z-index: 1; left: 16px; bottom: 26px;
  width: min(340px, 70%); font-size: 12px; pointer-events: none;
}
#bar[hidden] { display: none; }
#bar b { display: block; height: 10px; border-radius: 3px; }
#bar span {
  position: absolute; top: 12px; transform: translateX(-50%);
  white-space: nowrap;
}
@media (max-width: 700px) {
  header, footer { padding: 8px 10px; gap: 6px 10px; }
  #points { flex-basis: 100%; }
  #modes button, #view button { padding: 5px 9px; }
  #legend { max-height: 118px; overflow-y: auto; }
  #help { display: none; }
}
</style>
</head>
<body>
<header>
  <h1>$TITLE</h1>
  <span id="points">$POINTS</span>
  <span id="modes" role="group" aria-label="Colour">$MODE_BUTTONS</span>
  <span id="view" role="group" aria-label="View">
    <button data-zoom="0.8" aria-label="Nearer">+</button>
    <button data-zoom="1.25" aria-label="Farther">&minus;</button>
    <button id="reset">Reset view</button>
  </span>
</header>
<footer>
  <span id="legend" role="group" aria-label="Classes"></span>
</footer>
<div id="plot">
<div id="bar" hidden><b></b></div>
<div id="help">Drag: turn &middot; wheel: zoom &middot; right drag: move<br>
  Click a class: hide it &middot; double click: only it</div>
$PLOT
</div>
</body>
</html>
""")

# Runs once the plot stands; mode is a key of DATA.modes.
SCRIPT = Template("""
const DATA = $DATA;
const plot = document.getElementById('{plot_id}');
const all = (selector) => Array.from(document.querySelectorAll(selector));

// plotly.js writes a turn by mouse into the layout, a turn by finger not;
// what follows would fall back to the view that stands there.
function keepView() {
  const scene = (plot._fullLayout.scene || {})._scene;
  if (scene) plot.layout.scene.camera = scene.getCamera();
}

// One change after the other: plotly draws a scene in several steps, and the
// end of one would undo a view that was set meanwhile.
let queue = Promise.resolve();
let waiting = 0;
function inTurn(change) {
  waiting += 1;
  document.body.dataset.busy = '';
  queue = queue.catch(() => {}).then(change).finally(() => {
    waiting -= 1;
    if (!waiting) delete document.body.dataset.busy;
  });
}

function restyle(update) {
  inTurn(() => {
    keepView();
    return Plotly.restyle(plot, update);
  });
}

function showMode(name) {
  const mode = DATA.modes[name];
  restyle({
    'marker.color': mode.colors || plot.data.map((trace) => trace[mode.axis]),
    'marker.colorscale': [mode.scale], 'marker.cmin': 0,
    'marker.cmax': mode.max,
  });
  all('#modes button').forEach((button) =>
    button.setAttribute('aria-pressed', button.dataset.mode === name));
  document.getElementById('bar').hidden = name !== 'depth';
}

function showClasses(shown) {
  restyle({visible: shown});
  all('#legend button').forEach((button, i) =>
    button.setAttribute('aria-pressed', shown[i]));
}

function buildLegend() {
  const legend = document.getElementById('legend');
  const state = () => all('#legend button').map(
    (button) => button.getAttribute('aria-pressed') === 'true');
  plot.data.forEach((trace, i) => {
    const button = document.createElement('button');
    const swatch = document.createElement('i');
    swatch.style.background = DATA.modes.class.colors[i];
    button.append(swatch, trace.name);
    button.setAttribute('aria-pressed', true);
    button.onclick = () => showClasses(
      state().map((on, k) => k === i ? !on : on));
    button.ondblclick = () => {
      const others = state().some((on, k) => on && k !== i);
      showClasses(state().map((on, k) => k === i || !others));
    };
    legend.append(button);
  });
}

function buildBar() {
  const bar = document.getElementById('bar');
  const scale = DATA.modes.depth.scale.map((stop) => stop[1]);
  bar.firstChild.style.background =
    'linear-gradient(to right, ' + scale.join() + ')';
  DATA.ticks.forEach(([share, text]) => {
    const label = document.createElement('span');
    label.style.left = 100 * share + '%';
    label.textContent = text;
    bar.append(label);
  });
}

// A tall window shows a narrow part: look from farther away.
function firstView() {
  const aspect = plot.clientWidth / plot.clientHeight;
  return zoom(Math.min(4, Math.max(1, 1.2 / aspect)), DATA.camera);
}

function zoom(factor, camera) {
  const {eye, center} = camera;
  const moved = {};
  ['x', 'y', 'z'].forEach((axis) => {
    moved[axis] = center[axis] + factor * (eye[axis] - center[axis]);
  });
  return Plotly.relayout(plot, {'scene.camera': {...camera, eye: moved}});
}

buildLegend();
buildBar();
all('#modes button').forEach((button) => {
  button.onclick = () => showMode(button.dataset.mode);
});
all('[data-zoom]').forEach((button) => {
  button.onclick = () => inTurn(() => {
    keepView();
    return zoom(Number(button.dataset.zoom), plot.layout.scene.camera);
  });
});
document.getElementById('reset').onclick = () => inTurn(firstView);
// the legend has taken room from the plot
inTurn(() => Plotly.Plots.resize(plot).then(firstView));
""")
