/** The command's own log: what it did, with figures. Silent unless `--debug` was given. */
export interface Log {
  readonly debug: (facts: { readonly [name: string]: string | number }, message: string) => void;
}

const silent: Log = { debug: () => undefined };

/** A log to standard error, one JSON object a line; pino is loaded only where it is wanted. */
export async function openLog(wanted: boolean): Promise<Log> {
  if (!wanted) return silent;
  const { destination, pino } = await import('pino');
  const logger = pino({ name: 'tsbpf', level: 'debug' }, destination({ fd: 2, sync: true }));
  return { debug: (facts, message) => logger.debug(facts, message) };
}
