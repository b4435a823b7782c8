// A process of its own that opens as many connections as it is told, sends on each what it is told,
// reads nothing, says how many stayed open, and stays until its stdin ends. Optionally as another user.
import { connect } from 'node:net';

const [path, count, uid, text] = process.argv.slice(2);
if (uid !== '') process.setuid(Number(uid));
const sockets = [];
let settled = 0;
const settle = () => {
  settled += 1;
  if (settled < Number(count)) return;
  setTimeout(() => {
    const left = sockets.filter((socket) => !socket.destroyed).length;
    process.stdout.write(`${left}\n`);
  }, 300);
};
for (let index = 0; index < Number(count); index += 1) {
  const socket = connect(path);
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    settle();
  };
  socket.on('connect', () => {
    if (text !== '') socket.write(text);
    else socket.on('data', () => undefined);
    once();
  });
  socket.on('error', once);
  sockets.push(socket);
}
process.stdin.on('end', () => process.exit(0)).resume();
