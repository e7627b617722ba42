// Small things that the other parts share.

const SVG = "http://www.w3.org/2000/svg";

function element(tag, className, text, attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function drawing(tag, attributes = {}) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// First call at once, then at most one per `pause`, the last one never lost.
function throttle(pause, call) {
  let timer = null, again = false;
  const run = () => {
    if (timer !== null) { again = true; return; }
    call();
    timer = setTimeout(() => { timer = null; if (again) { again = false; run(); } }, pause);
  };
  return run;
}

// One call per painted frame, however often it is asked for.
function perFrame(call) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; call(); });
  };
}

function niceLength(limit) {
  const power = 10 ** Math.floor(Math.log10(limit));
  return [5, 2, 1].map(step => step * power).find(length => length <= limit) ?? power;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Leave out points of a stroke that lie within `tolerance` of the line through their neighbours (Douglas and Peucker).
function simplified(points, tolerance) {
  if (points.length < 3) return points;
  const [ax, ay] = points[0], [bx, by] = points[points.length - 1];
  const length = Math.hypot(bx - ax, by - ay);
  let far = 0, at = 0;
  for (let i = 1; i < points.length - 1; i++) {
    const [x, y] = points[i];
    const away = length > 0 ? Math.abs((bx - ax) * (ay - y) - (ax - x) * (by - ay)) / length : Math.hypot(x - ax, y - ay);
    if (away > far) { far = away; at = i; }
  }
  if (far <= tolerance) return [points[0], points[points.length - 1]];
  return [...simplified(points.slice(0, at + 1), tolerance).slice(0, -1), ...simplified(points.slice(at), tolerance)];
}
