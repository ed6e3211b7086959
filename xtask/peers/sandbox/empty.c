/* Nothing: what entering and leaving a program costs. */
#include "program.h"

PROGRAM
{
	return 2;
}
