// CPU time instead of the clock's, where what is measured does not wait: other work on the machine then
// costs a figure little.

/** Milliseconds of CPU, user and system, that `work` took in this process, with its helper threads. */
export async function cpuMs(work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
