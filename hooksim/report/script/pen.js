// Canvases: their size, their colours, lines and words on them.

// The colours of text and lines in this colour scheme, as the style sheet has them.
function readTheme(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: colour("ink"), muted: colour("muted"), rule: colour("rule"), surface: colour("surface"),
    accent: colour("accent"), hatchGround: colour("hatch-ground"), hatch: colour("hatch"),
    dark: colour("scheme") === "dark", family: style.fontFamily,
  };
}

// Sizes a canvas to whole device pixels and gives a pen that counts in CSS pixels.
function penFor(canvas, width, height, ratio = window.devicePixelRatio || 1) {
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return pen;
}

function line(pen, from, to, colour) {
  pen.strokeStyle = colour;
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
}

function write(pen, text, x, y, colour, align, baseline) {
  pen.fillStyle = colour;
  pen.textAlign = align;
  pen.textBaseline = baseline;
  pen.fillText(text, x, y);
}

// Two canvases on top of each other: what changes with the cursor does not redraw what is below.
class Stage {
  constructor(box) {
    this.box = box;
    [this.base, this.over] = box.querySelectorAll("canvas");
  }

  get width() {
    return this.box.clientWidth;
  }

  // A pen that only measures, before the size is known.
  get measure() {
    return this.over.getContext("2d");
  }

  open(layout) {
    this.over.style.left = "0px";
    this.box.style.height = `${layout.height}px`;
    this.overPen = penFor(this.over, layout.width, layout.height);
    return penFor(this.base, layout.width, layout.height);
  }

  // Where a pointer is, in the units of the pens.
  at(event) {
    const box = this.base.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  // Calls back wherever a mouse or pen hovers, or a finger taps or moves along.
  onPoint(callback) {
    const tell = (event) => callback(...this.at(event));
    this.box.addEventListener("pointermove", tell);
    this.box.addEventListener("pointerdown", tell);
  }
}
