/** A real server on a store of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

export const PROJECT = resolve(import.meta.dirname, "../../../..");
export const PYTHON = join(PROJECT, ".venv/bin/python");

/** Returns a port that nobody listens on, below those that the system hands out by itself. */
async function freePort(): Promise<number> {
  for (let port = 20_000 + (process.pid % 10_000); ; port += 1) {
    const probe = createServer().listen(port, "127.0.0.1");
    const free = await Promise.race([once(probe, "listening").then(() => true), once(probe, "error").then(() => false)]);
    probe.close();
    if (free) {
      return port;
    }
  }
}

export class Server {
  readonly baseUrl: string;
  #process: ChildProcess | undefined;

  private constructor(
    private readonly address: string,
    private readonly folder: string,
  ) {
    this.baseUrl = `http://${address}`;
  }

  static async start(): Promise<Server> {
    const folder = await mkdtemp(join(tmpdir(), "keepwell-"));
    const server = new Server(`127.0.0.1:${await freePort()}`, folder);
    await server.run();
    return server;
  }

  /** Starts the process; returns when it is ready. */
  async run(): Promise<void> {
    const command = ["-m", "server", "serve", "--listen", this.address, "--data-dir", this.folder];
    const server = spawn(PYTHON, command, {
      cwd: PROJECT,
      env: { ...process.env, KEEPWELL_LOG_LEVEL: "error" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process = server;
    for await (const line of createInterface(server.stdout)) {
      if (line.startsWith("keepwell is ready")) {
        return;
      }
    }
    throw new Error("the server ended instead of getting ready");
  }

  /** Ends the process by a signal. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const ended = this.#process && once(this.#process, "exit");
    this.#process?.kill(signal);
    await ended;
  }

  /** Ends the process and removes its store. */
  async close(): Promise<void> {
    await this.end("SIGTERM");
    await rm(this.folder, { recursive: true });
  }
}
