#include "textflag.h"

// func vfork(flags, ptid uintptr) (pid uintptr, errno syscall.Errno)
//
// The return address is in R30 all the time, so that the child's use of the stack cannot change it.
TEXT ·vfork(SB), NOSPLIT|NOFRAME, $0-32
	MOVD	flags+0(FP), R0
	MOVD	ZR, R1			// stack: go on with the parent's
	MOVD	ptid+8(FP), R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	MOVD	ZR, R5
	MOVD	$220, R8		// clone
	SVC
	CMN	$4095, R0
	BCC	ok
	NEG	R0, R0
	MOVD	ZR, pid+16(FP)
	MOVD	R0, errno+24(FP)
	RET
ok:
	MOVD	R0, pid+16(FP)
	MOVD	ZR, errno+24(FP)
	RET
