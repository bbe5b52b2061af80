/*
 * tests/unit/test_memory.c - how much memory there is to be had
 *
 * Method: files as the kernel has them, below a directory.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "tests/unit/temp.h"

#define MIB	(1ull << 20)
#define GROUP2	"31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

static char dir[TEMP_NAME_MAX];

static int
make_dir(void **state)
{
	(void)state;
	temp_make(dir, "memory");
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	temp_remove(dir);
	return 0;
}

/* Write a file below the directory, which is made. */
static void
put(const char *name, const char *text)
{
	shell("mkdir -p \"$(dirname '%s/%s')\" && printf -- '%s' > '%s/%s'", dir,
	    name, text, dir, name);
}

static void
machine(const char *cgroup, const char *mounts)
{
	put("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    8388608 kB\n");
	put("proc/self/cgroup", cgroup);
	put("proc/self/mountinfo", mounts);
}

static void
without_a_cgroup_it_is_what_the_machine_has(void **state)
{
	(void)state;
	machine("", "");
	assert_int_equal(pb_memory_available(dir), 8192 * MIB);
	machine("0::/a\n", GROUP2);
	assert_int_equal(pb_memory_available(dir), 8192 * MIB);
	put("sys/fs/cgroup/a/memory.max", "max\n");
	put("sys/fs/cgroup/a/memory.current", "99999999\n");
	assert_int_equal(pb_memory_available(dir), 8192 * MIB);
	shell("rm '%s/proc/meminfo'", dir);
	assert_true(pb_memory_available(dir) > UINT64_MAX / 2);
	shell("rm -r '%s/proc' '%s/sys'", dir, dir);
	assert_int_equal(pb_memory_available(dir), UINT64_MAX);
}

static void
its_cgroup_bounds_it_and_those_above(void **state)
{
	(void)state;
	machine("0::/a/b/c\n", "30 1 0:5 / /proc rw - proc proc rw\n" GROUP2);
	put("sys/fs/cgroup/a/b/c/memory.max", "536870912\n");
	put("sys/fs/cgroup/a/b/c/memory.current", "209715200\n");
	put("sys/fs/cgroup/a/b/c/memory.stat",
	    "anon 1\ninactive_file 104857600\n");
	assert_int_equal(pb_memory_available(dir), 412 * MIB);
	put("sys/fs/cgroup/a/memory.max", "268435456\n");
	put("sys/fs/cgroup/a/memory.current", "167772160\n");
	assert_int_equal(pb_memory_available(dir), 96 * MIB);
	put("sys/fs/cgroup/a/b/memory.high", "1048576\n");
	assert_int_equal(pb_memory_available(dir), MIB);
	put("sys/fs/cgroup/a/b/memory.current", "2048576\n");
	assert_int_equal(pb_memory_available(dir), 0);
}

static void
cgroups_of_version_1_bound_it(void **state)
{
	(void)state;
	machine("9:name=systemd:/\n4:cpu,memory:/x\n0::/\n",
	    "31 2 0:2 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
	    "32 2 0:3 / /sys/fs/cgroup/memory rw shared:7 - cgroup cgroup "
	    "rw,cpu,memory\n"
	    "33 2 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes",
	    "9223372036854771712\n");
	put("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "536870912\n");
	put("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "104857600\n");
	put("sys/fs/cgroup/memory/x/memory.stat",
	    "inactive_file 1\ntotal_inactive_file 4194304\n");
	assert_int_equal(pb_memory_available(dir), 416 * MIB);
}

/* In a container the path is the host's, and mounted is a part of it. */
static void
of_what_is_mounted_in_a_container_the_path_is_found(void **state)
{
	(void)state;
	machine("4:memory:/docker/77/in\n", "32 2 0:3 /docker/77 "
	    "/sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
	assert_int_equal(pb_memory_available(dir), 512 * MIB);
	put("sys/fs/cgroup/memory/in/memory.limit_in_bytes", "1048576\n");
	assert_int_equal(pb_memory_available(dir), MIB);
	machine("4:memory:/elsewhere\n", "32 2 0:3 /docker/77 "
	    "/sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
	assert_int_equal(pb_memory_available(dir), 512 * MIB);
}

/* Files that are as no kernel writes them bound nothing, and harm nothing. */
static void
what_is_no_such_file_bounds_nothing(void **state)
{
	static const char *const line[] = { "", "4", "4:memory", ":::", "0::",
	    "4:memory:", "0::/../..", "memory:memory:memory:memory" };

	(void)state;
	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i++) {
		machine(line[i], "- - -\n1 2 - cgroup2\n" GROUP2);
		assert_int_equal(pb_memory_available(dir), 8192 * MIB);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(without_a_cgroup_it_is_what_the_machine_has),
		IN_DIR(its_cgroup_bounds_it_and_those_above),
		IN_DIR(cgroups_of_version_1_bound_it),
		IN_DIR(of_what_is_mounted_in_a_container_the_path_is_found),
		IN_DIR(what_is_no_such_file_bounds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
