"""User studies: one page that people open in a browser, and the scores of what they answered.

PIRenderer (Ren et al. 2021, Sec. 4.1 and 4.3) shows a real and a generated picture and asks which is more realistic:
the fooling rate. PIR (Huang et al. 2023, Sec. 4.5) asks for ratings from 1 to 5. docs/user-studies.md says how to run
either.
"""
