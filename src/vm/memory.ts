export class VmMemory {}
