#include "textflag.h"

// func vfork(flags, ptid uintptr) (pid uintptr, errno syscall.Errno)
//
// Parent and child return through the same stack slot, and the child uses the stack first: the return
// address is kept in a register across the system call.
TEXT ·vfork(SB), NOSPLIT|NOFRAME, $0-32
	MOVQ	flags+0(FP), DI
	XORL	SI, SI			// stack: go on with the parent's
	MOVQ	ptid+8(FP), DX
	XORL	R10, R10
	XORL	R8, R8
	XORL	R9, R9
	MOVQ	$56, AX			// clone
	POPQ	R12			// the return address; survives the system call
	SYSCALL
	PUSHQ	R12
	CMPQ	AX, $0xfffffffffffff001
	JLS	ok
	NEGQ	AX
	MOVQ	$0, pid+16(FP)
	MOVQ	AX, errno+24(FP)
	RET
ok:
	MOVQ	AX, pid+16(FP)
	MOVQ	$0, errno+24(FP)
	RET
