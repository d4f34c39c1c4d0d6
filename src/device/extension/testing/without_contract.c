/* A library that is no extension at all. */
#include <stdint.h>
__attribute__((visibility("default"))) int32_t something_else(void);
int32_t something_else(void) { return 1; }
