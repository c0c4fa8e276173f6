"""What stations report of their own security: SecurityEventNotification (OCPP 2.0.1 A04, 1.6 security whitepaper)."""

from domain.security_events.models import SecurityEvent as SecurityEvent
from domain.security_events.queries import listed as listed
from domain.security_events.service import report as report
