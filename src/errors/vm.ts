import { quoteName } from './quote.ts';
import { type VmEngineErrorDetail, vmEngineWords } from './vm-engine.ts';
import type { Words } from './words.ts';

/** Errors of the VM's memory, maps, contexts and objects. */
export type VmErrorDetail =
  | VmEngineErrorDetail
  /** An operation failed as it does in Linux, with the same errno. */
  | {
      readonly code: 'errno';
      /** `E2BIG`, `ENOENT`, … */
      readonly errno: string;
      /** Its positive value. */
      readonly number: number;
      /** What was tried, as an action: `update element`. */
      readonly operation: string;
      readonly map?: string | undefined;
      /** What is wrong and what to do, where more is known than the errno says. */
      readonly reason?: string | undefined;
    }
  /** A kernel object's description does not fit the target's types. */
  | {
      readonly code: 'vm-object';
      readonly type: string;
      readonly path: string;
      readonly reason: string;
    };

export const vmWords: Words<VmErrorDetail> = {
  ...vmEngineWords,
  errno: (d) => {
    const map = d.map === undefined ? '' : ` of map ${quoteName(d.map)}`;
    const reason = d.reason === undefined ? '' : `: ${d.reason}`;
    return `${d.operation}${map}: ${d.errno} (${d.number})${reason}`;
  },
  'vm-object': (d) => {
    const path = d.path === '' ? '' : `, member ${quoteName(d.path)}`;
    return `kernel object ${quoteName(d.type)}${path}: ${d.reason}`;
  },
};
