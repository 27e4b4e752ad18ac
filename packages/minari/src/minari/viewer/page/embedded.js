"use strict";

// Answers what the page asks from the file that the page is in, as the server of `minari view`
// does from a dataset. The content is JSON, deflated, in base64; so are chunks of frames.

const CONDITION = /([^\s<>=!]+)\s*(<=|>=|!=|=|<|>)\s*([^\s<>=!]\S*)/g;
const FLAGS = { true: 1, false: 0, inf: Infinity, "-inf": -Infinity };
const WHOLE = /^-?\d+$/;

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Less than, equal to or greater than 0; NaN where there is nothing to compare. */
function compare(one, other) {
  if (WHOLE.test(one) && WHOLE.test(other)) {
    // Seeds may be beyond what a float can tell apart.
    const difference = BigInt(one) - BigInt(other);
    return difference < 0n ? -1 : Number(difference > 0n);
  }
  const [a, b] = [one, other].map((text) => Number(FLAGS[text.toLowerCase()] ?? text));
  if (Number.isNaN(a) && Number.isNaN(b)) return one < other ? -1 : Number(one > other);
  return a < b ? -1 : a > b ? 1 : a - b;
}

const SIGNS = {
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
  "=": (order) => order === 0,
  "!=": (order) => order !== 0,
};

function toNumber(text, dtype) {
  if (dtype === "bool") return Number(text === "True");
  const number = Number(text);
  if (!Number.isFinite(number)) return NaN;
  return dtype === "float32" ? Math.fround(number) : number;
}

globalThis.EmbeddedSource = class {
  constructor(element) {
    this.content = inflate(element.textContent).then((bytes) => {
      element.remove();
      return JSON.parse(new TextDecoder().decode(bytes));
    });
  }

  async askJson(path, parameters = {}) {
    const content = await this.content;
    if (path === "/episodes") {
      const rows = this.select(content.rows, parameters);
      const { start, count } = parameters;
      const shown = rows.slice(start, start + count);
      return { ...content.list, total: rows.length, start, rows: shown };
    }
    if (path === "/row") {
      const rows = this.select(content.rows, parameters);
      const row = rows.findIndex(({ position }) => position === parameters.position);
      return { row: row < 0 ? null : row };
    }
    if (path === "/episode") return content.episodes[parameters.position].description;
    if (path === "/replay") return content.episodes[parameters.position].description.replay;
    if (path === "/values") return this.readValues(content, parameters);
    return content.answers[path];
  }

  async askBytes(path, parameters) {
    const { description, texts } = (await this.content).episodes[parameters.position];
    const column =
      description.columns.find((each) => each.path === parameters.column) ?? description.replay;
    if (path === "/series") return this.readSeries(column, texts[column.path], parameters);
    return { buffer: await this.readFrames(column, parameters.start / parameters.count) };
  }

  /** The value as text; null where there is none. */
  valueOf(row, key) {
    if (key === "return" && Array.isArray(row.return)) return String(row.return[0]);
    const value = key in row && key !== "metadata" ? row[key] : row.metadata[key];
    return value === undefined || value === null ? null : String(value);
  }

  select(rows, { sort, descending, conditions }) {
    const known = ["id", "length", "return", "seed", "end"];
    for (const row of rows) known.push(...Object.keys(row.metadata));
    const check = (key) => {
      if (known.includes(key)) return;
      throw new Error(
        `episodes have no '${key}' to sort or filter by; they have ${[...new Set(known)].join(", ")}`,
      );
    };
    const rest = conditions.replace(CONDITION, "").trim();
    if (rest) {
      throw new Error(`'${rest}' is no condition; write length>=100, end=truncated or key=value`);
    }
    check(sort);
    let chosen = rows;
    for (const [, key, sign, value] of conditions.matchAll(CONDITION)) {
      check(key);
      chosen = chosen.filter((row) => {
        const own = this.valueOf(row, key);
        // What is missing is unequal to everything.
        return SIGNS[sign](own === null ? NaN : compare(own, value));
      });
    }
    const sign = descending ? -1 : 1;
    return chosen.toSorted((one, other) => {
      const [a, b] = [this.valueOf(one, sort), this.valueOf(other, sort)];
      // What is unknown is last in either order.
      const [isLast, isFirst] = [a, b].map((each) => each === null || each === "nan");
      if (isLast || isFirst) return Number(isLast) - Number(isFirst);
      return sign * compare(a, b) || 0;
    });
  }

  readValues(content, { position, step }) {
    const values = {};
    for (const [path, elements] of Object.entries(content.episodes[position].texts)) {
      if (step < elements[0].length) values[path] = elements.map((texts) => texts[step]);
    }
    return values;
  }

  /** Minimum, maximum and the count of what is not finite of each bucket of neighbouring rows. */
  readSeries(column, texts, { start, stop, buckets, elements }) {
    const dims = Math.min(elements, texts.length);
    const rows = Math.max(Math.min(stop, column.rows) - start, 0);
    const width = Math.ceil(rows / buckets) || 1;
    const count = Math.ceil(rows / width);
    const found = new Float64Array(3 * dims * count).fill(NaN);
    found.fill(0, 2 * dims * count);
    for (let dim = 0; dim < dims; dim++) {
      for (let row = 0; row < rows; row++) {
        const value = toNumber(texts[dim][start + row], column.dtype);
        const least = dim * count + Math.floor(row / width);
        const most = least + dims * count;
        // Written so that the first value takes the place of NaN.
        if (!(value >= found[least])) found[least] = Number.isNaN(value) ? found[least] : value;
        if (!(value <= found[most])) found[most] = Number.isNaN(value) ? found[most] : value;
        if (Number.isNaN(value)) found[most + dims * count]++;
      }
    }
    return { buffer: found.buffer, width };
  }

  /** Each frame is stored as its difference from the one before it, in bytes that wrap. */
  async readFrames(column, chunk) {
    const bytes = await inflate(find(`frames-${column.first_chunk + chunk}`).textContent);
    // The shape of a replay begins with the number of its frames.
    const size = column.shape.slice(-3).reduce((product, length) => product * length, 1);
    for (let index = size; index < bytes.length; index++) bytes[index] += bytes[index - size];
    return bytes.buffer;
  }
};
