import type { BackendMap, BackendPins, PinnedMap } from '../backend/backend.ts';
import { quoteName } from '../errors/quote.ts';
import { errnoError } from './errno.ts';
import { type MapHost, VmMap } from './maps/map.ts';

/** The maps of a VM that have names of their own; its bpffs. */
export class VmPins implements BackendPins {
  readonly #host: MapHost;
  readonly #maps = new Map<string, VmMap>();

  constructor(host: MapHost) {
    this.#host = host;
  }

  open(path: string): PinnedMap | undefined {
    const map = this.#maps.get(path);
    if (map === undefined) return undefined;
    map.reopen();
    const { type, keySize, valueSize, maxEntries, flags } = map;
    const { extra } = map.spec;
    return { map, definition: { type, keySize, valueSize, maxEntries, flags, extra } };
  }

  pin(path: string, map: BackendMap): void {
    const operation = `pin at ${quoteName(path)}`;
    if (this.#maps.has(path)) throw errnoError('EEXIST', operation, { map: map.name });
    if (!(map instanceof VmMap && map.isOf(this.#host))) {
      throw errnoError('EBADF', operation, { map: map.name, reason: 'it is not of this VM' });
    }
    map.pin();
    this.#maps.set(path, map);
  }

  unpin(path: string): void {
    const map = this.#maps.get(path);
    this.#maps.delete(path);
    map?.unpin();
  }

  /** Takes every path away. */
  close(): void {
    for (const path of [...this.#maps.keys()]) this.unpin(path);
  }
}
