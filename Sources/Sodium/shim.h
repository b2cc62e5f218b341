#ifndef MAGPIE_SODIUM_SHIM_H
#define MAGPIE_SODIUM_SHIM_H
#include <sodium.h>
#endif
