#ifndef MAGPIE_SECCOMP_SHIM_H
#define MAGPIE_SECCOMP_SHIM_H
#include <seccomp.h>
#endif
