#!/bin/sh
exec cargo xtask test-recovery "$@"
