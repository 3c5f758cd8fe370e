/** Which processes of this machine are alive, whether a number still means the same one, and interrupts of this one. */
import { readFileSync } from 'node:fs';

/**
 * Is there a process of this number that runs? One that has ended but whose parent has not noticed, as happens in
 * containers, does not.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return !/^[ZX]$/.test(statusOf(pid)?.[0] ?? '');
}

/**
 * Linux: boot and tick at which a process started, which tell it from a later one of the same number; null
 * elsewhere, and where there is none.
 */
export function processStart(pid: number): string | null {
  const tick = statusOf(pid)?.[19];
  try {
    return tick === undefined ? null : `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${tick}`;
  } catch {
    return null;
  }
}

/**
 * Do something that a signal can stop, and Ctrl-C or "interrupt kernel" too, for then the signal that `work` gets
 * fires with an error of this message.
 */
export async function untilInterrupted<T>(
  signal: AbortSignal | undefined, message: string, work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const interrupt = () => controller.abort(new Error(message));
  process.on('SIGINT', interrupt);
  try {
    return await work(signal ? AbortSignal.any([signal, controller.signal]) : controller.signal);
  } finally {
    process.off('SIGINT', interrupt);
  }
}

/** The fields of /proc/<pid>/stat from the third, the state, on (proc(5)). */
function statusOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, the second field, is in parentheses and may hold anything.
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
