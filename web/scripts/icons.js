/**
 * Draws the PNG icons from the mark's own path data: `node scripts/icons.js`. Run it again when the mark changes; the
 * results are kept in public/icons. Strokes are distances to lines, so nothing but zlib is needed.
 */
import { writeFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';

const GUSTS = [
  { from: [4, 10.5], along: 15.2, radius: 3.7, sweep: 0, to: [-3.5, -4.9] },
  { from: [4, 16], along: 20.3, radius: 3.8, sweep: 1, to: [-3.5, 5.3] },
  { from: [4, 21.5], along: 10.4, radius: 3.1, sweep: 1, to: [-2.9, 4.2] },
];
const GRID = 32;
const STROKE = 2.6;
const GROUND = [0x17, 0x60, 0x7c];
const LINE = [0xff, 0xff, 0xff];

/** The centre of a large arc of a circle from one point to another. */
function centre([x1, y1], [x2, y2], radius, sweep) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = Math.hypot(dx, dy);
  const away = Math.sqrt(Math.max(0, radius ** 2 - (length / 2) ** 2)) * (sweep ? 1 : -1);
  return [(x1 + x2) / 2 + (dy / length) * away, (y1 + y2) / 2 - (dx / length) * away];
}

function lines({ from, along, radius, sweep, to }) {
  const bend = [from[0] + along, from[1]];
  const end = [bend[0] + to[0], bend[1] + to[1]];
  const [cx, cy] = centre(bend, end, radius, sweep);
  const start = Math.atan2(bend[1] - cy, bend[0] - cx);
  let stop = Math.atan2(end[1] - cy, end[0] - cx);
  if (sweep && stop < start) stop += 2 * Math.PI;
  if (!sweep && stop > start) stop -= 2 * Math.PI;
  const points = [from];
  for (let step = 0; step <= 48; step++) {
    const angle = start + ((stop - start) * step) / 48;
    points.push([cx + radius * Math.cos(angle), cy + radius * Math.sin(angle)]);
  }
  return points.slice(1).map((point, index) => [points[index], point]);
}

const SEGMENTS = GUSTS.flatMap(lines);

function distance(x, y) {
  let nearest = Infinity;
  for (const [[x1, y1], [x2, y2]] of SEGMENTS) {
    const [dx, dy] = [x2 - x1, y2 - y1];
    const along = Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1)));
    nearest = Math.min(nearest, Math.hypot(x - x1 - along * dx, y - y1 - along * dy));
  }
  return nearest;
}

/** How much of a pixel is inside a square with round corners. */
function inside(x, y, size, corner) {
  const over = [x, y].map((at) => Math.max(0, Math.abs(at - size / 2) - (size / 2 - corner)));
  return Math.max(0, Math.min(1, corner - Math.hypot(...over) + 0.5));
}

/** `scale` is the mark's part of the width; `corner` that of the round corners. */
function draw(size, scale, corner) {
  const rows = [];
  const unit = (size * scale) / GRID;
  for (let row = 0; row < size; row++) {
    const line = Buffer.alloc(1 + size * 4);
    for (let column = 0; column < size; column++) {
      const [x, y] = [column + 0.5, row + 0.5];
      const gap = distance((x - size / 2) / unit + GRID / 2, (y - size / 2) / unit + GRID / 2) - STROKE / 2;
      const ink = Math.max(0, Math.min(1, 0.5 - gap * unit));
      const at = 1 + column * 4;
      for (let part = 0; part < 3; part++)
        line[at + part] = Math.round(GROUND[part] + (LINE[part] - GROUND[part]) * ink);
      line[at + 3] = corner ? Math.round(255 * inside(x, y, size, corner * size)) : 255;
    }
    rows.push(line);
  }
  return png(size, Buffer.concat(rows));
}

const CRC = Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  let sum = 0xffffffff;
  for (const byte of body) sum = CRC[(sum ^ byte) & 0xff] ^ (sum >>> 8);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE((sum ^ 0xffffffff) >>> 0);
  return Buffer.concat([length, body, check]);
}

function png(size, pixels) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([8, 6, 0, 0, 0], 8);
  const mark = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    mark,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(pixels, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const folder = new URL('../public/icons/', import.meta.url);
writeFileSync(new URL('icon-192.png', folder), draw(192, 0.68, 0.22));
writeFileSync(new URL('icon-512.png', folder), draw(512, 0.68, 0.22));
// Phones cut these to their own shape: square, with the mark well inside.
writeFileSync(new URL('icon-180.png', folder), draw(180, 0.64, 0));
writeFileSync(new URL('icon-maskable-512.png', folder), draw(512, 0.52, 0));
