/*
 * A computation in vector registers, for ever: `vector`. 32 logistic maps in vectors as wide as the compiler is told
 * (-mavx2, -mavx512f); prints `N SUM` with all digits, so a bit that changes anywhere shows in the next lines.
 */
#include "program.h"

typedef double lanes __attribute__((vector_size(64)));

int main(void) {
  lanes x[4], r[4];
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 8; j++) x[i][j] = 0.1 + 0.01 * i + 0.002 * j, r[i][j] = 3.9 + 0.0125 * i / 4 + 0.001 * j;
  for (unsigned long line = 1;; line++) {
    for (int step = 0; step < 100000; step++)
      for (int i = 0; i < 4; i++) x[i] = r[i] * x[i] * (1.0 - x[i]);
    lanes sum = x[0] + x[1] + x[2] + x[3];
    printf("%lu %.17g\n", line, sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7]);
    fflush(stdout);
  }
}
