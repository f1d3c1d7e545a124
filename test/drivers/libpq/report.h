/* What the checks say, and the environment that they take. There is one includer. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char why[2000];  /* why the check at hand failed; empty when it passed */
static char note[2000]; /* what else to say about it */
static char cannot[200]; /* why the check is not possible; counts before the others */

static const char *env(const char *name)
{
	char full[64];
	snprintf(full, sizeof full, "DRIVER_%s", name);
	const char *value = getenv(full);
	return value ? value : "";
}

static void fail(const char *format, ...)
{
	va_list args;
	if (why[0])
		return; /* the first cause counts */
	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
}

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if ((unsigned char) *text < ' ')
			putchar(' ');
		else
			printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	putchar('"');
}

/* report prints the line of the check at hand. */
static void report(const char *name)
{
	printf("{\"check\": \"%s\", \"ok\": %s, \"note\": ", name, cannot[0] ? "null" : why[0] ? "false" : "true");
	print_string(cannot[0] ? cannot : why[0] ? why : note);
	puts("}");
	fflush(stdout);
}
