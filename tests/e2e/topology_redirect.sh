#!/bin/bash
# SPDX-License-Identifier: ISC
#
# topology.sh with REDIRECT.

MODE=redirect . "${srcdir:-.}/tests/e2e/topology.sh"
