/** Any input must be done with in this time, in milliseconds. */
export const timeLimit = 2000;

/** Heap of a fuzzing process, in megabytes; what needs more ends it, and that is a failure. */
export const heapLimit = 512;

/** Resident memory of a fuzzing process, in megabytes. */
export const residentLimit = 1500;
