// Adds `messages` jobs in bulks of `batch`, `inFlight` bulks at a time. Prints {"seconds"}.
import { Queue } from "bullmq";
import { QUEUE, connect, parameters, say } from "./connection.mjs";

const { messages, batch, inFlight } = parameters;
const queue = new Queue(QUEUE, { connection: connect() });
await queue.waitUntilReady();

let next = 0;
const bulk = () => {
  const jobs = [];
  for (const end = Math.min(next + batch, messages); next < end; next++) {
    const to = "+7916" + String(next).padStart(7, "0");
    jobs.push({ name: "message", data: { contract: "01J9ZK7Q2M", to, name: "Anna" } });
  }
  return queue.addBulk(jobs);
};
const add = async () => {
  while (next < messages) await bulk();
};

const started = performance.now();
await Promise.all(Array.from({ length: inFlight }, add));
say({ seconds: (performance.now() - started) / 1000 });
await queue.close();
process.exit(0);
