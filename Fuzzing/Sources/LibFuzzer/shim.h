#include <stddef.h>
#include <stdint.h>

/* Of libFuzzer, which the compiler brings along: -sanitize=fuzzer. */
int LLVMFuzzerRunDriver(
    int *argc, char ***argv, int (*body)(const uint8_t *bytes, size_t count));
