// Loaded into a trainer and its workers (NODE_OPTIONS=--require=…): kills them all at one file operation in the
// folder KILL_IN. KILL_AT says which: `trainer:N` or `worker:N` is the Nth of such a process; a write is half done
// then. Appends `trainer` or `worker` to the file COUNT, if set, at each operation.
'use strict';
const fs = require('fs');
const path = require('path');

const operations = ['mkdirSync', 'openSync', 'writeFileSync', 'fsyncSync', 'closeSync', 'renameSync', 'linkSync', 'rmSync'];
const { KILL_AT = '', KILL_IN = '', COUNT } = process.env;
const role = path.basename(process.argv[1] ?? '') === 'worker.js' ? 'worker' : 'trainer';
const [killed, at] = KILL_AT.split(':');
const original = { appendFileSync: fs.appendFileSync, writeSync: fs.writeSync };
const ours = new Set();
let done = 0;

function isOurs(target) {
  return typeof target === 'number' ? ours.has(target) : KILL_IN !== '' && String(target).startsWith(KILL_IN);
}

function before(name, args) {
  done += 1;
  if (COUNT) original.appendFileSync(COUNT, `${role}\n`);
  if (killed !== role || done !== Number(at)) return;
  if (name === 'writeFileSync' && args[1].length > 1) {
    const part = args[1].slice(0, Math.floor(args[1].length / 2));
    if (typeof args[0] === 'number') original.writeSync(args[0], part);
    else original.appendFileSync(args[0], part);
  }
  process.kill(0, 'SIGKILL'); // the group: trainer and workers
  for (;;); // until the signal arrives
}

for (const name of operations) {
  const real = fs[name];
  fs[name] = (...args) => {
    const counted = isOurs(args[0]);
    if (counted) before(name, args);
    const result = real(...args);
    if (counted && name === 'openSync') ours.add(result);
    if (counted && name === 'closeSync') ours.delete(args[0]);
    return result;
  };
}
