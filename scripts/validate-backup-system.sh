#!/bin/sh
exec cargo xtask validate-backup-system "$@"
