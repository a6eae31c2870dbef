/* capstone.pc names the directory of the header itself on some systems and its parent on others. */
#if __has_include(<capstone/capstone.h>)
#include <capstone/capstone.h>
#else
#include <capstone.h>
#endif
