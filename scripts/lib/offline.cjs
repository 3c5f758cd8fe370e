// Loaded into the unit tests and the kernels of `npm test` (node --require): refuses every connection that
// leaves this machine, so that a test that needs the network fails here and not later at a user's.
const net = require('node:net');

const connect = net.Socket.prototype.connect;
const LOOPBACK = /^(localhost|127(\.\d+){3}|::1)$/;

net.Socket.prototype.connect = function connectLocally(...args) {
  const flat = Array.isArray(args[0]) ? args[0] : args;
  const [first, second] = flat;
  const isPath = typeof first === 'string' && !/^\d+$/.test(first);
  const host = typeof first === 'object' && first !== null ? first.host : second;
  const local = isPath || (first && first.path) || typeof host !== 'string' || LOOPBACK.test(host);
  if (!local) {
    // Later, as a real refusal would come: callers still prepare the socket after connect().
    setImmediate(() => this.destroy(new Error(`offline: the tests may not connect to ${host}`)));
    return this;
  }
  return connect.apply(this, args);
};
