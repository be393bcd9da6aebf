// What both scripts share: the parameters, the connection, and the one line that they answer with.
import { Redis } from "ioredis";

// One JSON object: see README.md beside the folder.
export const parameters = JSON.parse(process.argv[2]);

export const QUEUE = "messages";

// As BullMQ asks of a connection. Commands of one turn of the event loop go out in one write.
export const connect = () =>
  new Redis(parameters.port, "127.0.0.1", { maxRetriesPerRequest: null, enableAutoPipelining: true });

export const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
