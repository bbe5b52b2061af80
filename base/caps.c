/*
 * base/caps.c - of capabilities(7), no more than what is needed
 */
#include "base/caps.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int
pb_caps_keep(uint64_t kept, struct pb_err *err)
{
	struct __user_cap_header_struct head = {
	    .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct set[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct had[_LINUX_CAPABILITY_U32S_3];

	/* Without CAP_SETPCAP the bounding set stays, and gives nothing to
	 * who starts no program. */
	for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++)
		if ((kept & PB_CAP(cap)) == 0)
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &head, set) < 0)
		return pb_err_sys(err, "ask for capabilities");
	memcpy(had, set, sizeof(had));
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		set[i].permitted &= (uint32_t)(kept >> 32 * i);
		set[i].effective = set[i].permitted;
		set[i].inheritable = 0;
	}
	/* Who has none needs no leave to give some up. */
	if (memcmp(had, set, sizeof(had)) != 0 &&
	    syscall(SYS_capset, &head, set) < 0)
		return pb_err_sys(err, "give up capabilities");
	return 0;
}
