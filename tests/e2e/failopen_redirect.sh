#!/bin/bash
# SPDX-License-Identifier: ISC
#
# failopen.sh with REDIRECT.

MODE=redirect exec bash "${srcdir:-.}/tests/e2e/failopen.sh"
