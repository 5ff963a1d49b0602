SELECT department,
       job,
       count(*) FILTER (WHERE extract(quarter FROM datetime AT TIME ZONE 'UTC') = 1) AS q1,
       count(*) FILTER (WHERE extract(quarter FROM datetime AT TIME ZONE 'UTC') = 2) AS q2,
       count(*) FILTER (WHERE extract(quarter FROM datetime AT TIME ZONE 'UTC') = 3) AS q3,
       count(*) FILTER (WHERE extract(quarter FROM datetime AT TIME ZONE 'UTC') = 4) AS q4
  FROM hired_employees AS h
  JOIN departments ON departments.id = h.department_id
  JOIN jobs ON jobs.id = h.job_id
 WHERE extract(year FROM datetime AT TIME ZONE 'UTC') = 2021
 GROUP BY departments.id, department, jobs.id, job
 ORDER BY department COLLATE "C", job COLLATE "C", departments.id, jobs.id
