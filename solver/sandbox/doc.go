// Package sandbox runs commands in a root directory of their own, on the best rung that the machine allows.
//
//	userns  user, mount, pid and other namespaces with many ids
//	single  the same with one id; a supervisor keeps owners and identities
//	chroot  neither namespaces nor mounts: a changed root directory, Landlock, a supervisor
//	none    commands cannot be run
//
// [Enter] finds the rung and makes the process one in which all else is done by plain root code; nobody asks
// the machine again. On the first two rungs the program starts itself again in new namespaces: the process
// that the user started, L0, maps ids, passes signals on and waits; L1, the first process of the new pid
// namespace, does the work; each command gets further namespaces below it. Whatever happens to L0, the kernel
// ends L1 and all that is below, and every mount goes with them. What needs no commands and no trees can be done
// before that, in L0.
//
// A command is put together by its parent before it is born: its mounts are taken while the machine's root
// directory is still there, and the child's life up to execve is a list of system calls (see callList).
package sandbox
