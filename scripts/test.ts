// `npm test`: the main suite, then the kernel suite, whose tests ask first what the machine
// can do and skip with the reason. Needs no clang and no root. The last line counts both.
import { runAva } from './ava.ts';
import { addCounts, formatCounts } from './counts.ts';

const main = runAva('main suite');
const kernel = runAva('kernel suite', { config: 'ava.kernel.config.js' });
const total = addCounts(main, kernel);
console.log(formatCounts(total));
if (total.failed > 0) process.exitCode = 1;
