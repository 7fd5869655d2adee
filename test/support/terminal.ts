// A program on a terminal of its own, made by Python's pty: what it draws, keys, a window that
// changes, signals, and whether it left the terminal as it found it.

import { Running } from './process.ts';

const BRIDGE = `
import fcntl, json, os, pty, select, signal, struct, sys, termios

master, slave = pty.openpty()

def resize(rows, columns):
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

resize(30, 100)
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.close(master)
    os.execvp(sys.argv[1], sys.argv[1:])

commands = b''
while True:
    ready, _, _ = select.select([master, 0], [], [], 0.02)
    if master in ready:
        os.write(1, os.read(master, 65536))
        continue
    if 0 in ready:
        chunk = os.read(0, 65536)
        if not chunk:
            os.kill(pid, signal.SIGKILL)
        commands += chunk
        *lines, commands = commands.split(b'\\n')
        for line in map(json.loads, lines):
            if 'keys' in line:
                os.write(master, line['keys'].encode())
            elif 'resize' in line:
                resize(*line['resize'])
            else:
                os.kill(pid, line['signal'])
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        while select.select([master], [], [], 0)[0]:
            os.write(1, os.read(master, 65536))
        same = termios.tcgetattr(slave) == before
        left = {'code': os.waitstatus_to_exitcode(status), 'same': same}
        sys.stderr.write(json.dumps(left))
        break
`;

export interface Left {
  /** Exit code; below 0: the signal that ended it. */
  code: number;
  /** Whether the terminal's modes are what they were before. */
  same: boolean;
  /** Everything that was drawn. */
  drawn: string;
}

/** Runs `command` on a terminal of 30 lines and 100 columns. Killed on disposal. */
export class Terminal implements AsyncDisposable {
  readonly #bridge: Running;

  constructor(command: readonly string[], env: NodeJS.ProcessEnv) {
    const stdio: ['pipe', 'pipe', 'pipe'] = ['pipe', 'pipe', 'pipe'];
    this.#bridge = new Running('python3', ['-c', BRIDGE, ...command], { env, stdio });
  }

  #tell(command: object): void {
    this.#bridge.child.stdin!.write(`${JSON.stringify(command)}\n`);
  }

  press(keys: string): void {
    this.#tell({ keys });
  }

  /** The window has so many lines and columns now. */
  resize(rows: number, columns: number): void {
    this.#tell({ resize: [rows, columns] });
  }

  /** Sends the program a signal, by its number. */
  signal(number: number): void {
    this.#tell({ signal: number });
  }

  /** Everything that was drawn so far. */
  get drawn(): string {
    return this.#bridge.stdout;
  }

  /** Settles when what is drawn matches. */
  async shows(pattern: RegExp): Promise<void> {
    await this.#bridge.output(pattern);
  }

  /** Settles when the program has ended. */
  async left(): Promise<Left> {
    const { stdout, stderr } = await this.#bridge.ended;
    return { ...(JSON.parse(stderr) as Omit<Left, 'drawn'>), drawn: stdout };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bridge.child.stdin!.end();
    await this.#bridge.ended.catch(() => {});
  }
}
