import { decodeText, encodeText } from '../bytes/text.ts';
import type { KernelObject, KernelObjects } from './objects.ts';

/** The task that programs find as the current one. */
export interface TaskDescription {
  /** Thread id: what `task_struct` calls `pid`. */
  readonly pid: number;
  /** Process id; the same as `pid` by default. */
  readonly tgid?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** At most 15 bytes. */
  readonly comm?: string | undefined;
  /** Id of its cgroup in the v2 hierarchy; 1, the root, by default. */
  readonly cgroupId?: bigint | undefined;
  /** Its `struct task_struct`; made from the above by default. */
  readonly object?: KernelObject | undefined;
}

/** Length of `task_struct.comm`. */
const commLength = 16;

/** The current task with everything known. */
export class CurrentTask {
  readonly pid: number;
  readonly tgid: number;
  readonly uid: number;
  readonly gid: number;
  readonly comm: string;
  readonly cgroupId: bigint;
  readonly #object: KernelObject | undefined;
  readonly #owned: KernelObject[] = [];

  constructor(objects: KernelObjects, description: TaskDescription) {
    this.pid = description.pid;
    this.tgid = description.tgid ?? description.pid;
    this.uid = description.uid ?? 0;
    this.gid = description.gid ?? 0;
    this.comm = description.comm ?? 'task';
    this.cgroupId = description.cgroupId ?? 1n;
    this.#object = description.object ?? this.#make(objects);
  }

  /** `comm` as bytes: cut to 15 and padded with zeros. */
  get commBytes(): Uint8Array {
    const out = new Uint8Array(commLength);
    out.set(encodeText(this.comm).subarray(0, commLength - 1));
    return out;
  }

  /** `comm` as programs see it. */
  get shownComm(): string {
    const bytes = this.commBytes;
    return decodeText(bytes.subarray(0, bytes.indexOf(0)));
  }

  /** Its `struct task_struct` in VM memory; undefined where the target types have none. */
  get object(): KernelObject | undefined {
    return this.#object;
  }

  /** Frees what was made for it. */
  free(): void {
    for (const object of this.#owned) object.free();
    this.#owned.length = 0;
  }

  #make(objects: KernelObjects): KernelObject | undefined {
    if (objects.sizeOf('task_struct') === undefined) return undefined;
    const { pid, tgid, shownComm: comm } = this;
    const task = objects.create('task_struct', { pid, tgid, comm });
    this.#owned.push(task);
    if (objects.sizeOf('cred') !== undefined) {
      const { uid, gid } = this;
      const cred = objects.create('cred', {
        'uid.val': uid,
        'gid.val': gid,
        'euid.val': uid,
        'egid.val': gid,
      });
      this.#owned.push(cred);
      task.set({ cred, real_cred: cred });
    }
    task.set({ group_leader: task, real_parent: task, parent: task });
    return task;
  }
}
