// A line between the browser and the service that breaks when it is told to, as a train's does in a tunnel.

import { connect, createServer } from 'node:net';

/** Lays a line to the service. Its address is `base`. */
export async function line(service) {
  const { hostname, port } = new URL(service);
  const near = new Set();
  let left = Infinity;
  let broken;
  let stillBroken = false;
  const server = createServer((socket) => {
    if (stillBroken) {
      stillBroken = false;
      return socket.destroy();
    }
    const far = connect(Number(port), hostname);
    near.add(socket);
    socket.on('data', (bytes) => {
      left -= bytes.length;
      if (left < 0) return broken(socket);
      if (!far.write(bytes)) socket.pause();
    });
    far.on('drain', () => socket.resume());
    far.pipe(socket);
    for (const [one, other] of [[socket, far], [far, socket]]) {
      one.on('error', () => {});
      one.on('close', () => {
        near.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  /** Does something once so many more bytes have gone up; tells when. */
  const after = (bytes, act) => new Promise((done) => {
    left = bytes;
    broken = (socket) => {
      left = Infinity;
      act(socket);
      done();
    };
  });
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    /** Lets every connection break, and the first that comes after: a browser tries once more by itself and says nothing. */
    cutAfter: (bytes) => after(bytes, () => {
      stillBroken = true;
      for (const socket of near) socket.destroy();
    }),
    /** Lets nothing more pass on the connection that these bytes went by; the others are good. */
    holdAfter: (bytes) => after(bytes, (socket) => socket.removeAllListeners('data').pause()),
    close() {
      for (const socket of near) socket.destroy();
      server.close();
    },
  };
}
