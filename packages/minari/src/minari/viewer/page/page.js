"use strict";

// Everything that a dataset says of itself becomes text, by `textContent`, and never markup.

const ROW_HEIGHT = 24;
const ROWS_AT_ONCE = 100;
const FRAMES_AT_ONCE = 32;
const CHUNK_BYTES = 8e6;
const CHUNKS_KEPT = 12;
const SHOWN_DIMS = 8;
const WIDTH = 1000;
const HEIGHT = 120;
// Scrolled heights beyond this are drawn wrongly by browsers.
const MOST_PIXELS = 8e6;
const SVG = "http://www.w3.org/2000/svg";
// Okabe and Ito's colours, told apart by most colour-blind people, in both colour schemes.
const COLOURS = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#8a7a00",
  "#7f7f7f",
];

const find = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  element.append(...children);
  return element;
}

function makeSvg(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Where the page's data comes from: its server, or the file that it is in (`embedded.js`). */
class ServerSource {
  async ask(path, parameters = {}) {
    const query = new URLSearchParams(parameters).toString();
    const response = await fetch(query ? `${path}?${query}` : path);
    if (!response.ok) {
      const text = await response.text();
      let sentence = text;
      try {
        sentence = JSON.parse(text).error;
      } catch {
        // It is the sentence already.
      }
      throw new Error(sentence);
    }
    return response;
  }

  async askJson(path, parameters) {
    const answer = await (await this.ask(path, parameters)).json();
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  async askBytes(path, parameters) {
    const response = await this.ask(path, parameters);
    return { buffer: await response.arrayBuffer(), width: Number(response.headers.get("X-Width")) };
  }
}

const content = find("content");
const source = content ? new EmbeddedSource(content) : new ServerSource();

function tell(error) {
  find("notice").textContent = error ? error.message : "";
}

const formatCount = (number) => number.toLocaleString("en");

function formatNumber(value) {
  if (value === null) return "…";
  if (Array.isArray(value)) return value.map(formatNumber).join(", ");
  if (typeof value === "string") return value;
  return Number.isInteger(value) && Math.abs(value) < 1e9
    ? formatCount(value)
    : value.toPrecision(5).replace(/\.?0+$/, "");
}

/** The list of episodes: only the rows that are seen exist. */
class EpisodeList {
  constructor(choose) {
    this.choose = choose;
    this.sort = "id";
    this.descending = false;
    this.total = 0;
    this.pages = new Map();
    this.version = 0;
    this.chosen = null;
    const scroller = find("scroller");
    scroller.addEventListener("scroll", () => this.draw());
    scroller.addEventListener("keydown", (event) => this.move(event));
    let timer = 0;
    find("conditions").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.reload(true), 150);
    });
    for (const [key, label] of [
      ["id", "id"],
      ["length", "steps"],
      ["return", "return"],
      ["end", "ended"],
      ["seed", "seed"],
    ]) {
      const button = make("button", { type: "button", textContent: label });
      button.dataset.key = key;
      button.addEventListener("click", () => this.order(key));
      find("heads").append(button);
    }
    find("more").addEventListener("change", () => this.showColumn(find("more").value));
    find("read").addEventListener("click", () => this.read());
  }

  /** Have that read of all episodes which a dataset on a remote is not asked for unasked. */
  async read() {
    try {
      await source.askJson("/episodes", { read: true, count: 0 });
      await this.reload(false);
      await showDistributions();
    } catch (error) {
      tell(error);
    }
  }

  showUnread(nbytes) {
    this.isUnread = nbytes !== null;
    find("read").hidden = !this.isUnread;
    find("read").textContent = `Read returns and metadata of all, ${formatNumber(nbytes / 1e6)} MB`;
  }

  /** The last column is the seed, or what the metadata has by some key. */
  showColumn(key) {
    const button = find("heads").lastChild;
    button.dataset.key = key;
    button.textContent = key;
    this.draw();
  }

  offerColumns(keys) {
    const offered = new Set(["seed", ...keys]);
    for (const key of ["id", "length", "return", "end"]) offered.delete(key);
    if (find("more").length === offered.size) return;
    const { value } = find("more");
    find("more").replaceChildren(
      ...[...offered].map((key) => make("option", { value: key, textContent: key })),
    );
    find("more").value = offered.has(value) ? value : "seed";
  }

  get query() {
    return { sort: this.sort, descending: this.descending, conditions: find("conditions").value };
  }

  order(key) {
    this.descending = this.sort === key ? !this.descending : key !== "id";
    this.sort = key;
    this.reload(true);
  }

  async reload(fromTop) {
    const version = ++this.version;
    this.pages.clear();
    if (fromTop) find("scroller").scrollTop = 0;
    try {
      const answer = await this.load(0, version);
      if (version !== this.version) return;
      this.total = answer.total;
      this.offerColumns(answer.keys);
      const of = answer.of > answer.total ? ` of ${formatCount(answer.of)}` : "";
      const failure = answer.failure ? `; ${answer.failure}` : "";
      this.showUnread(answer.unread);
      const isReading = answer.progress < 1 && !this.isUnread;
      const reading = isReading
        ? `; reading returns and metadata, ${Math.floor(100 * answer.progress)} %`
        : "";
      find("answer").textContent = `${formatCount(answer.total)}${of} episodes${reading}${failure}`;
      if (isReading) setTimeout(() => version === this.version && this.reload(false), 500);
    } catch (error) {
      if (version !== this.version) return;
      this.total = 0;
      find("answer").textContent = error.message;
      if (error.message.includes("being read"))
        setTimeout(() => version === this.version && this.reload(false), 500);
    }
    for (const button of find("heads").children) {
      const isOrder = button.dataset.key === this.sort;
      button.setAttribute(
        "aria-sort",
        isOrder ? (this.descending ? "descending" : "ascending") : "none",
      );
      button.textContent =
        button.textContent.replace(/ [\u2191\u2193]$/, "") +
        (isOrder ? (this.descending ? " \u2193" : " \u2191") : "");
    }
    find("extent").style.height = `${Math.min(this.total * ROW_HEIGHT, MOST_PIXELS)}px`;
    this.draw();
  }

  async load(page, version) {
    this.pages.set(page, null);
    const answer = await source.askJson("/episodes", {
      ...this.query,
      start: page * ROWS_AT_ONCE,
      count: ROWS_AT_ONCE,
    });
    if (version === this.version) this.pages.set(page, answer.rows);
    return answer;
  }

  /** The row at the top: of long lists a pixel stands for more than one. */
  get firstRow() {
    const scroller = find("scroller");
    const height = this.total * ROW_HEIGHT;
    if (height <= MOST_PIXELS) return scroller.scrollTop / ROW_HEIGHT;
    const range = MOST_PIXELS - scroller.clientHeight;
    return (scroller.scrollTop / range) * (this.total - scroller.clientHeight / ROW_HEIGHT);
  }

  draw() {
    const scroller = find("scroller");
    const first = this.firstRow;
    const count = Math.ceil(scroller.clientHeight / ROW_HEIGHT) + 1;
    const more = find("heads").lastChild.dataset.key;
    const rows = [];
    for (let row = Math.floor(first); row < Math.min(first + count, this.total); row++) {
      const page = Math.floor(row / ROWS_AT_ONCE);
      if (!this.pages.has(page)) {
        const version = this.version;
        this.load(page, version).then(() => version === this.version && this.draw(), tell);
      }
      const episode = this.pages.get(page)?.[row % ROWS_AT_ONCE];
      const element = make("div", { className: "row" });
      element.style.top = `${scroller.scrollTop + (row - first) * ROW_HEIGHT}px`;
      if (episode) {
        for (const text of [
          episode.id,
          formatCount(episode.length),
          formatNumber(episode.return),
          episode.end ?? "…",
          more === "seed" ? (episode.seed ?? "none") : (episode.metadata[more] ?? "none"),
        ]) {
          element.append(make("span", { textContent: String(text) }));
        }
        element.title = Object.entries({ seed: episode.seed ?? "none", ...episode.metadata })
          .map(([key, value]) => `${key}: ${value}`)
          .join("\n");
        element.classList.toggle("chosen", episode.position === this.chosen);
        element.addEventListener("click", () => this.show(episode.position));
      }
      rows.push(element);
    }
    scroller.replaceChildren(find("extent"), ...rows);
  }

  show(position) {
    this.chosen = position;
    this.draw();
    return this.choose(position);
  }

  async move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || this.chosen === null) return;
    event.preventDefault();
    event.stopPropagation();
    try {
      const { row } = await source.askJson("/row", { ...this.query, position: this.chosen });
      const next = Math.min(Math.max((row ?? -1) + step, 0), this.total - 1);
      const { rows } = await source.askJson("/episodes", { ...this.query, start: next, count: 1 });
      if (rows.length) this.show(rows[0].position);
    } catch (error) {
      tell(error);
    }
  }
}

/** A column of numbers over the steps, thinned out by the server to what the width can show. */
class Plot {
  constructor(episode, column) {
    this.episode = episode;
    this.column = column;
    this.dims = Math.min(column.dims, SHOWN_DIMS);
    this.svg = makeSvg("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
    });
    this.svg.setAttribute("aria-label", column.path);
    this.values = make("ul", { className: "values" });
    const shape = column.shape.length ? ` (${column.shape.join(" × ")})` : "";
    this.range = make("small");
    const stored = column.shape.reduce((product, length) => product * length, 1);
    const left =
      column.kind === "numbers" && stored > column.dims
        ? `the first ${column.dims} of ${stored} elements, `
        : "";
    const title = `${column.path}${shape} ${column.dtype} `;
    const heading = make("h3", {}, title, make("small", { textContent: left }), this.range);
    this.element = make("div", { className: "plot" }, heading, this.svg, this.values);
    this.element.dataset.path = column.path;
    this.cursor = makeSvg("line", { class: "cursor", y1: 0, y2: HEIGHT });
    this.picked = makeSvg("rect", { class: "picked", y: 0, height: HEIGHT, width: 0 });
    this.listen();
  }

  listen() {
    let from = null;
    this.svg.addEventListener("pointerdown", (event) => {
      from = this.stepAt(event);
      this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const [first, last] = [from, this.stepAt(event)].toSorted((a, b) => a - b);
      this.picked.setAttribute("x", this.xOf(first));
      this.picked.setAttribute("width", this.xOf(last) - this.xOf(first));
    });
    this.svg.addEventListener("pointerup", (event) => {
      const [first, last] = [from ?? 0, this.stepAt(event)].toSorted((a, b) => a - b);
      this.picked.setAttribute("width", 0);
      if (from !== null && this.xOf(last) - this.xOf(first) > 8)
        this.episode.zoom(Math.floor(first), Math.ceil(last) + 1);
      else this.episode.go(Math.round(this.stepAt(event)));
      from = null;
    });
    this.svg.addEventListener("dblclick", () => this.episode.zoom(0, this.episode.length + 1));
    this.svg.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const centre = this.stepAt(event);
        const factor = event.deltaY < 0 ? 0.7 : 1 / 0.7;
        this.episode.zoom(
          Math.floor(centre - (centre - this.episode.first) * factor),
          Math.ceil(centre + (this.episode.last - centre) * factor),
        );
      },
      { passive: false },
    );
  }

  xOf(step) {
    const { first, last } = this.episode;
    // A step has a width, so that one alone is seen as well.
    return ((step - first + 0.5) / Math.max(last - first, 1)) * WIDTH;
  }

  stepAt(event) {
    const box = this.svg.getBoundingClientRect();
    const { first, last } = this.episode;
    const step = first + ((event.clientX - box.left) / box.width) * (last - first) - 0.5;
    return Math.min(Math.max(step, first), last - 1);
  }

  async load() {
    const { episode, column } = this;
    const [first, last, elements] = [episode.first, episode.last, this.dims];
    const { buffer, width } = await source.askBytes("/series", {
      position: episode.position,
      column: column.path,
      start: first,
      stop: last,
      buckets: WIDTH,
      elements,
    });
    if (
      episode.isGone ||
      first !== episode.first ||
      last !== episode.last ||
      elements !== this.dims
    )
      return;
    this.drawSeries(new Float64Array(buffer), first, width);
  }

  drawSeries(numbers, first, width) {
    const { dims } = this;
    const buckets = dims ? numbers.length / (3 * dims) : 0;
    const at = (plane, dim, bucket) => numbers[(plane * dims + dim) * buckets + bucket];
    let [low, high] = [Infinity, -Infinity];
    for (let dim = 0; dim < this.dims; dim++) {
      for (let bucket = 0; bucket < buckets; bucket++) {
        // Comparisons with NaN are false, so that it moves no border.
        if (at(0, dim, bucket) < low) low = at(0, dim, bucket);
        if (at(1, dim, bucket) > high) high = at(1, dim, bucket);
      }
    }
    const span = high - low;
    const y = (value) => (span > 0 ? 6 + ((high - value) / span) * (HEIGHT - 12) : HEIGHT / 2);
    const rows = this.column.rows;
    const drawn = [];
    for (let dim = 0; dim < this.dims; dim++) {
      let path = "";
      let dots = "";
      let isDown = false;
      for (let bucket = 0; bucket < buckets; bucket++) {
        const [least, most] = [at(0, dim, bucket), at(1, dim, bucket)];
        const step = Math.min(first + (bucket + 0.5) * width - 0.5, rows - 1);
        const x = this.xOf(step).toFixed(1);
        if (Number.isNaN(least)) {
          isDown = false;
        } else {
          const isAlone =
            !isDown && !(bucket + 1 < buckets && !Number.isNaN(at(0, dim, bucket + 1)));
          // A value between two holes is a dot, since a line of one point cannot be seen.
          if (isAlone && least === most) dots += `M${x} ${y(least).toFixed(1)}h0.01`;
          path += `${isDown ? "L" : "M"}${x} ${y(least).toFixed(1)}`;
          if (least !== most) path += `L${x} ${y(most).toFixed(1)}`;
          isDown = true;
        }
        if (at(2, dim, bucket) > 0)
          drawn.push(makeSvg("line", { class: "hole", x1: x, x2: x, y1: HEIGHT - 5, y2: HEIGHT }));
      }
      const stroke = COLOURS[dim % COLOURS.length];
      drawn.push(makeSvg("path", { d: path, stroke }));
      if (dots) drawn.push(makeSvg("path", { class: "dots", d: dots, stroke }));
    }
    this.svg.replaceChildren(...drawn, this.picked, this.cursor);
    this.svg.dataset.low = low;
    this.svg.dataset.high = high;
    const steps = `steps ${formatCount(this.episode.first)} to ${formatCount(Math.min(this.episode.last, rows) - 1)}`;
    const left = dims < this.column.dims ? `, ${dims} of ${this.column.dims} elements` : "";
    const range = low > high ? "no finite value" : `${formatNumber(low)} to ${formatNumber(high)}`;
    this.range.textContent = `${steps}, ${range}${left}`;
    this.moveCursor();
  }

  moveCursor() {
    const x = this.xOf(this.episode.step);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
  }

  showValues(texts) {
    const items = (texts ?? [])
      .slice(0, this.column.kind === "numbers" ? this.dims : undefined)
      .map((text, dim) => {
        const swatch = make("span", { className: "swatch" });
        swatch.style.background = COLOURS[dim % COLOURS.length];
        const label = this.column.dims > 1 ? `${dim}: ` : "";
        return make(
          "li",
          {},
          ...(this.column.kind === "numbers" ? [swatch] : []),
          `${label}${text}`,
        );
      });
    if (texts === undefined) items.push(make("li", { textContent: "no value at this step" }));
    if (this.column.dims > this.dims) {
      const more = make("button", {
        type: "button",
        textContent: `show all ${this.column.dims} elements`,
      });
      more.addEventListener("click", () => {
        this.dims = this.column.dims;
        this.load().catch(tell);
        this.episode.loadValues();
      });
      items.push(make("li", {}, more));
    }
    this.values.replaceChildren(...items);
  }
}

/** The frames of a column of images, in chunks that are fetched ahead. */
class Screen {
  constructor(episode, column) {
    this.episode = episode;
    this.column = column;
    this.chunks = new Map();
    const [height, width, channels = 1] = column.shape;
    const most = Math.floor(CHUNK_BYTES / (height * width * channels));
    // A page in one file has them in the same chunks.
    this.count = Math.max(1, Math.min(FRAMES_AT_ONCE, most));
    this.canvas = make("canvas", { width, height });
    const scale = Math.max(1, Math.min(4, Math.floor(320 / Math.max(width, height))));
    this.canvas.style.width = `${width * scale}px`;
    this.canvas.dataset.path = column.path;
    this.context = this.canvas.getContext("2d");
    this.image = this.context.createImageData(width, height);
    this.caption = make("figcaption");
    this.element = make("figure", {}, this.canvas, this.caption);
  }

  fetchChunk(number) {
    const start = number * this.count;
    if (start >= this.column.rows || this.chunks.has(number)) return;
    const { episode, column } = this;
    const loading = source
      .askBytes("/frames", {
        position: episode.position,
        column: column.path,
        start,
        count: this.count,
      })
      .then(({ buffer }) => {
        if (this.chunks.get(number) !== loading) return;
        this.chunks.set(number, new Uint8Array(buffer));
        this.draw();
      })
      .catch((error) => {
        this.chunks.delete(number);
        tell(error);
      });
    this.chunks.set(number, loading);
    for (const kept of this.chunks.keys()) {
      if (this.chunks.size <= CHUNKS_KEPT) break;
      if (kept !== number) this.chunks.delete(kept);
    }
  }

  /** Whether the frame of the present step is on the canvas. */
  draw() {
    // A page in one file may have every second frame only, or every third.
    const { rows, stride = 1, until = rows, isReplay } = this.column;
    const every = stride > 1 ? `, every ${stride} steps` : "";
    const isMissing = this.episode.step >= until;
    this.caption.textContent = `${this.column.path}${every}${isMissing ? ", no image of this step" : ""}`;
    if (isReplay && isMissing) {
      // From here on a replay would show something else than what was recorded.
      this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      this.canvas.dataset.step = "none";
      return true;
    }
    const row = Math.min(Math.floor(this.episode.step / stride), rows - 1);
    const number = Math.floor(row / this.count);
    // Two ahead: of large frames one is played in less time than a busy server may take for it.
    for (const ahead of [0, 1, 2]) this.fetchChunk(number + ahead);
    const chunk = this.chunks.get(number);
    if (!(chunk instanceof Uint8Array)) return false;
    const [height, width, channels = 1] = this.column.shape;
    // Whole pixels at once, which is faster; every browser's machine has the lowest byte first.
    const pixels = new Uint32Array(this.image.data.buffer);
    const [green, blue] = channels > 1 ? [1, 2] : [0, 0];
    let from = (row % this.count) * height * width * channels;
    for (let to = 0; to < pixels.length; to++, from += channels) {
      const alpha = channels === 4 ? chunk[from + 3] : 255;
      pixels[to] =
        chunk[from] | (chunk[from + green] << 8) | (chunk[from + blue] << 16) | (alpha << 24);
    }
    this.context.putImageData(this.image, 0, 0);
    this.canvas.dataset.step = row * stride;
    return true;
  }
}

/** A replay, which the server makes when it is asked for; then it is played as images are. */
class Replay {
  constructor(episode) {
    this.episode = episode;
    this.button = make("button", { type: "button", hidden: true });
    this.text = make("span", { role: "status" });
    this.element = make("p", { className: "replay" }, this.button, this.text);
    this.button.addEventListener("click", () =>
      this.ask({ [this.state === "running" ? "cancel" : "start"]: true }),
    );
  }

  async ask(wish = {}) {
    clearTimeout(this.timer);
    try {
      const known = await source.askJson("/replay", { position: this.episode.position, ...wish });
      if (this.episode.isGone || this.state === "done") return;
      this.show(known);
      if (known.state === "running") this.timer = setTimeout(() => this.ask(), 300);
    } catch (error) {
      tell(error);
    }
  }

  show({ state, text, done, total, shape, ...column }) {
    this.state = state;
    const isRunning = state === "running";
    this.button.hidden = state === "impossible" || state === "done";
    this.button.textContent = isRunning ? "Cancel" : "Replay";
    const share = total ? `, ${Math.floor((100 * done) / total)} %` : "";
    this.text.textContent = isRunning ? `replaying in the environment${share}` : text;
    if (state !== "done" || !shape[0]) return;
    const [rows, ...rest] = shape;
    this.episode.addScreen({ ...column, path: "replay", shape: rest, rows, isReplay: true });
  }
}

/** The chosen episode, its one axis and its one cursor. */
class Episode {
  constructor(description) {
    Object.assign(this, { position: description.position, length: description.length });
    this.step = 0;
    this.first = 0;
    this.last = this.length + 1;
    this.isGone = false;
    this.isAsking = false;
    this.description = description;
    this.screens = description.columns
      .filter((column) => column.kind === "image")
      .map((column) => new Screen(this, column));
    this.plots = description.columns
      .filter((column) => column.kind !== "image")
      .map((column) => new Plot(this, column));
    // A page in one file has those that were made before it was written.
    const hasReplay = !this.screens.length && (!content || description.replay);
    this.replay = hasReplay ? new Replay(this) : null;
  }

  addScreen(column) {
    const screen = new Screen(this, column);
    this.screens.push(screen);
    find("screens").prepend(screen.element);
    screen.draw();
  }

  show() {
    const { description } = this;
    find("title").textContent = `Episode ${description.id}`;
    const { steps = this.length } = description;
    const facts = [
      steps > this.length
        ? `the first ${formatCount(this.length)} of ${formatCount(steps)} steps`
        : `${formatCount(steps)} steps`,
      description.seed === null ? "no seed" : `seed ${description.seed}`,
    ];
    if (description.options !== null) facts.push(`options ${description.options}`);
    if (!description.final_observation_known) facts.push("final observation unknown");
    for (const [key, value] of Object.entries(description.metadata)) facts.push(`${key} ${value}`);
    find("facts").textContent = facts.join(" · ");
    find("screens").replaceChildren(...this.screens.map((screen) => screen.element));
    if (this.replay) {
      find("screens").append(this.replay.element);
      this.replay.ask();
    }
    find("plots").replaceChildren(...this.plots.map((plot) => plot.element));
    find("step").max = this.length;
    this.filterColumns();
    this.go(0);
    return this.loadPlots();
  }

  filterColumns() {
    const words = find("columns").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const plot of this.plots) {
      plot.element.hidden =
        words.length > 0 && !words.some((word) => plot.column.path.toLowerCase().includes(word));
    }
  }

  async loadPlots() {
    const isDrawn = this.plots.map((plot) => {
      if (plot.column.kind === "numbers") return plot.load().catch(tell);
      plot.svg.remove();
      return null;
    });
    await Promise.all(isDrawn);
  }

  zoom(first, last) {
    this.first = Math.max(first, 0);
    this.last = Math.min(Math.max(last, this.first + 2), this.length + 1);
    this.first = Math.min(this.first, this.last - 2);
    find("whole").hidden = this.first === 0 && this.last === this.length + 1;
    this.loadPlots();
  }

  /** Move the cursor; whatever is slow follows when it can. */
  go(step) {
    this.step = Math.min(Math.max(step, 0), this.length);
    find("step").value = this.step;
    find("at").textContent = `${formatCount(this.step)} of ${formatCount(this.length)}`;
    for (const plot of this.plots) plot.moveCursor();
    this.loadValues();
    return this.screens.map((screen) => screen.draw()).every(Boolean);
  }

  async loadValues() {
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      let step = null;
      while (step !== this.step && !this.isGone) {
        step = this.step;
        const values = await source.askJson("/values", { position: this.position, step });
        if (this.isGone) return;
        for (const plot of this.plots) plot.showValues(values[plot.column.path]);
        find("plots").dataset.step = step;
      }
    } catch (error) {
      tell(error);
    } finally {
      this.isAsking = false;
    }
  }
}

/** Plays at a rate by the clock: no frame is left out unless it has not arrived. */
class Player {
  constructor() {
    this.episode = null;
    this.isPlaying = false;
    for (const rate of [5, 10, 30, 60])
      find("rate").append(
        make("option", { value: rate, textContent: `${rate} / s`, selected: rate === 30 }),
      );
    find("play").addEventListener("click", () => (this.isPlaying ? this.pause() : this.play()));
    find("step").addEventListener("input", () => {
      this.pause();
      this.episode?.go(Number(find("step").value));
    });
    find("whole").addEventListener("click", () => this.episode?.zoom(0, this.episode.length + 1));
    find("columns").addEventListener("input", () => this.episode?.filterColumns());
    document.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    if (!this.episode || event.target.matches("input[type=search], select")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step) {
      event.preventDefault();
      this.pause();
      this.episode.go(this.episode.step + step);
    } else if (event.key === " " && !event.target.matches("button")) {
      event.preventDefault();
      find("play").click();
    }
  }

  choose(episode) {
    this.pause();
    if (this.episode) this.episode.isGone = true;
    this.episode = episode;
    return episode.show();
  }

  play() {
    const { episode } = this;
    if (!episode) return;
    if (episode.step >= episode.length) episode.go(0);
    this.isPlaying = true;
    find("play").textContent = "Pause";
    let due = performance.now();
    const advance = (now) => {
      if (!this.isPlaying || this.episode !== episode) return;
      const wait = 1000 / Number(find("rate").value);
      // Clocks of screens tremble, and a frame that waits for the next tick would halve the rate.
      if (now >= due - 4) {
        const isShown = episode.go(episode.step + 1);
        // Without its frame the clock waits as well.
        due = isShown ? Math.max(due + wait, now - wait) : now + wait;
        if (!isShown) episode.go(episode.step - 1);
      }
      if (episode.step >= episode.length) this.pause();
      else requestAnimationFrame(advance);
    };
    requestAnimationFrame(advance);
  }

  pause() {
    this.isPlaying = false;
    find("play").textContent = "Play";
  }
}

function drawDistribution(name, distribution) {
  const box = make("div", { className: "distribution" }, make("strong", { textContent: name }));
  if (!distribution) {
    box.append(make("p", { textContent: "no finite value" }));
    return box;
  }
  const { counts, edges } = distribution.histogram;
  const most = Math.max(...counts);
  const svg = makeSvg("svg", {
    viewBox: `0 0 ${counts.length} 70`,
    preserveAspectRatio: "none",
    role: "img",
  });
  counts.forEach((count, index) => {
    // Whatever is counted is seen.
    const height = count ? Math.max((68 * count) / most, 2) : 0;
    const bar = makeSvg("rect", { x: index + 0.04, width: 0.92, y: 70 - height, height });
    const title = makeSvg("title");
    title.textContent = `${formatNumber(edges[index])} to ${formatNumber(edges[index + 1])}: ${formatCount(count)}`;
    bar.append(title);
    svg.append(bar);
  });
  const figures = ["min", "median", "mean", "max", "std"].map(
    (key) => `${key} ${formatNumber(distribution[key])}`,
  );
  if (distribution.not_finite) figures.push(`${formatCount(distribution.not_finite)} not finite`);
  box.append(svg, make("p", { textContent: figures.join(", ") }));
  return box;
}

async function describe() {
  const dataset = await source.askJson("/dataset");
  document.title = `${dataset.id} – Minari`;
  find("id").textContent = dataset.id;
  find("totals").textContent =
    `${formatCount(dataset.total_episodes)} episodes, ${formatCount(dataset.total_steps)} steps`;
  const facts = [
    ["environment", dataset.environment ?? "none"],
    ["observations", dataset.observation_space],
    ["actions", dataset.action_space],
    ...(dataset.location ? [["folder", dataset.location]] : []),
    ...dataset.facts,
  ];
  for (const [name, value] of facts)
    find("description").append(
      make("dt", { textContent: name }),
      make("dd", { textContent: value }),
    );
  find("load").textContent = dataset.load;
}

async function showDistributions() {
  const add = (name, distribution) =>
    find("distributions").append(drawDistribution(name, distribution));
  const { columns, episodes } = await source.askJson("/columns");
  let known = await source.askJson("/distributions");
  add("length", known.lengths);
  for (const [path, elements] of Object.entries(columns)) {
    elements.forEach((each, index) => add(elements.length > 1 ? `${path} ${index}` : path, each));
  }
  find("distributions").append(
    make("p", { textContent: `Columns: of ${formatCount(episodes)} episodes.` }),
  );
  for (let tries = 0; known.returns === null && tries < 600; tries++) {
    await new Promise((resume) => setTimeout(resume, 500));
    known = await source.askJson("/distributions");
  }
  (known.returns ?? []).forEach((each, index, all) => {
    find("distributions").prepend(
      drawDistribution(all.length > 1 ? `return ${index}` : "return", each),
    );
  });
}

/** Show what was found before the page was written to a file, if anything was looked for. */
async function showFindings() {
  for (const [path, id, show] of [
    ["/checks", "checks", check],
    ["/statistics", "statistics", measure],
  ]) {
    const { state } = await source.askJson(path);
    if (state === "done") show();
    else find(id).hidden = true;
  }
}

/** Say that episodes have been added meanwhile, or that the dataset is gone. */
async function watch() {
  if (document.hidden) return;
  try {
    const { newer } = await source.askJson("/newer");
    find("renew").hidden = newer === 0;
    find("renew").textContent = `Show ${formatCount(newer)} newer episodes`;
  } catch (error) {
    tell(error);
  }
}

async function renew() {
  try {
    await source.askJson("/renew");
    location.reload();
  } catch (error) {
    tell(error);
  }
}

/** Have something done that takes a pass over the data; null if that cannot be. */
async function waitFor(path, button, doing) {
  button.disabled = true;
  try {
    let known = await source.askJson(path, { start: true });
    while (known.state === "running") {
      button.textContent = doing;
      await new Promise((resume) => setTimeout(resume, 300));
      known = await source.askJson(path);
    }
    return known;
  } catch (error) {
    button.disabled = false;
    tell(error);
    return null;
  }
}

async function check() {
  const button = find("check");
  const known = await waitFor("/checks", button, "Checking\u2026");
  if (!known) return;
  button.textContent = known.findings.length
    ? `${formatCount(known.findings.length)} findings`
    : "Nothing was found";
  find("findings").replaceChildren(
    ...known.findings.map(([severity, text]) =>
      make("li", { className: severity, textContent: `${severity}: ${text}` }),
    ),
  );
}

async function measure() {
  const button = find("measure");
  const known = await waitFor("/statistics", button, "Computing\u2026");
  if (!known) return;
  button.textContent = known.failure ?? "Of all steps";
  find("tables").replaceChildren(...known.columns.map(drawStatistics));
}

function drawStatistics({ path, rows, elements, statistics }) {
  const left =
    elements > statistics.length ? `, the first ${statistics.length} of ${elements}` : "";
  const names = ["", "mean", "std", "min", "max", "not finite"];
  const table = make(
    "table",
    {},
    make("caption", { textContent: `${path}, ${formatCount(rows)} rows${left}` }),
    make("tr", {}, ...names.map((name) => make("th", { textContent: name }))),
  );
  statistics.forEach((row, index) => {
    const cells = row.map((value) => make("td", { textContent: formatNumber(value) }));
    table.append(make("tr", {}, make("th", { textContent: elements > 1 ? index : "" }), ...cells));
  });
  return table;
}

function startPage() {
  find("renew").addEventListener("click", renew);
  if (content) showFindings().catch(tell);
  find("check").addEventListener("click", check);
  find("measure").addEventListener("click", measure);
  const player = new Player();
  const list = new EpisodeList(async (position) => {
    try {
      const description = await source.askJson("/episode", { position });
      tell(null);
      if (list.chosen === position) await player.choose(new Episode(description));
    } catch (error) {
      tell(error);
    }
  });
  // What takes longer follows when the first episode is seen.
  describe()
    .then(() => list.reload(true))
    .then(() => list.total && list.show(list.pages.get(0)[0].position))
    .then(() => list.isUnread || showDistributions())
    .catch(tell);
  if (!content) setInterval(watch, 5000);
}

startPage();
