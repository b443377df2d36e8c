export class Btf {
  string(_o: number): string {
    return '';
  }
}
