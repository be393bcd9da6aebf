// Processes jobs, `concurrency` at a time: hands each over to `target`, or does nothing where there is none. Ends after
// `messages` jobs and prints {"seconds"}, from the moment at which the worker was ready; without `messages` it goes on
// until it is killed.
import { Worker } from "bullmq";
import { Pool } from "undici";
import { QUEUE, connect, parameters, say } from "./connection.mjs";

const { messages, concurrency, target } = parameters;
const pool = target ? new Pool(target, { connections: concurrency, pipelining: 1 }) : null;
const HEADERS = { authorization: "Bearer bench", "content-type": "application/json" };

// Returns the provider's id, which BullMQ keeps with the job: without it no receipt can be matched.
const handOver = async ({ data: { contract, to, name } }) => {
  const body = JSON.stringify({
    messaging_product: "whatsapp",
    recipient_type: "individual",
    to,
    type: "text",
    text: { body: `Hello ${name}, your order is ready` },
    biz_opaque_callback_data: contract,
  });
  const answer = await pool.request({ method: "POST", path: "/v23.0/1/messages", headers: HEADERS, body });
  if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`);
  return (await answer.body.json()).messages[0].id;
};

const worker = new Worker(QUEUE, pool ? handOver : async () => {}, { connection: connect(), concurrency, autorun: false });
worker.on("error", () => {}); // it connects again by itself
await worker.waitUntilReady();

let done = 0;
const started = performance.now();
worker.on("completed", () => {
  if (++done !== messages) return;
  say({ seconds: (performance.now() - started) / 1000 });
  process.exit(0);
});
await worker.run();
